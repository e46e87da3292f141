import { expect, it } from 'vitest'
import { readControllerConfig } from '../../../../src/platform/config/controller.ts'
import { addressText } from '../../../../src/platform/http/listen.ts'

const environment = {
  ATELIER_API_INTERNAL_URL: 'http://127.0.0.1:8081',
  ATELIER_INTERNAL_TOKEN_FILE: '/token',
  ATELIER_INFERENCE_IMAGE: 'atelier.dev/inference:dev',
  ATELIER_POD_API_URL: 'http://127.0.0.1:8081',
}

it.each([
  ['10.1.2.3:8084', '10.1.2.3:8084'],
  ['[fd00::1]:8084', '[fd00::1]:8084'],
  // What $(POD_IP):8084 becomes.
  ['fd00::1:8084', '[fd00::1]:8084'],
])('of %s the api is told %s', (text, told) => {
  const { queueListen } = readControllerConfig({
    ...environment,
    ATELIER_CONTROLLER_LISTEN: text,
  })
  expect(queueListen === undefined ? '' : addressText(queueListen)).toBe(told)
})

const reachedByNobody = ['0.0.0.0:8084', '[::]:8084', ':::8084', '127.0.0.1']
it.each(reachedByNobody)('nobody could be told %s', (text) => {
  const read = () => readControllerConfig({ ...environment, ATELIER_CONTROLLER_LISTEN: text })
  expect(read).toThrow('ATELIER_CONTROLLER_LISTEN')
})

it('answers nobody unless it is said where', () => {
  expect(readControllerConfig(environment).queueListen).toBeUndefined()
})
