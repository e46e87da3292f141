import { expect, it } from 'vitest'
import { readControllerConfig } from '../../../../src/platform/config/controller.ts'
import { addressText } from '../../../../src/platform/http/listen.ts'

const environment = {
  ATELIER_API_INTERNAL_URL: 'http://127.0.0.1:8081',
  ATELIER_INTERNAL_TOKEN_FILE: '/token',
  ATELIER_INFERENCE_IMAGE: 'atelier.dev/inference:dev',
  ATELIER_POD_API_URL: 'http://127.0.0.1:8081',
}

it.each(['10.1.2.3:8084', '[fd00::1]:8084'])('the api is told %s as it is written', (text) => {
  const { queueListen } = readControllerConfig({
    ...environment,
    ATELIER_CONTROLLER_LISTEN: text,
  })
  expect(queueListen === undefined ? '' : addressText(queueListen)).toBe(text)
})

it.each(['0.0.0.0:8084', '[::]:8084', '127.0.0.1'])('nobody could be told %s', (text) => {
  const read = () => readControllerConfig({ ...environment, ATELIER_CONTROLLER_LISTEN: text })
  expect(read).toThrow('ATELIER_CONTROLLER_LISTEN')
})

it('answers nobody unless it is said where', () => {
  expect(readControllerConfig(environment).queueListen).toBeUndefined()
})
