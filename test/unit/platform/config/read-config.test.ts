import { isAppError } from '../../../../src/shared/errors.ts'
import { describe, expect, it } from 'vitest'
import { readApiConfig } from '../../../../src/platform/config/api.ts'
import { readControllerConfig } from '../../../../src/platform/config/controller.ts'
import { readInferenceConfig } from '../../../../src/platform/config/inference.ts'
import { readNodeAgentConfig } from '../../../../src/platform/config/node-agent.ts'

const api = {
  ATELIER_PUBLIC_URL: 'http://127.0.0.1:8080/',
  ATELIER_INTERNAL_URL: 'http://127.0.0.1:8081',
  MONGODB_URI: 'mongodb://127.0.0.1:27017/atelier',
  REDIS_URL: 'redis://127.0.0.1:6379',
  ATELIER_OBJECTS_FOLDER: '/data/objects',
  ATELIER_SECRETS_FOLDER: '/data/secrets',
}

const controller = {
  ATELIER_API_INTERNAL_URL: 'http://127.0.0.1:8081',
  ATELIER_INTERNAL_TOKEN_FILE: '/token',
  ATELIER_INFERENCE_IMAGE: 'atelier.dev/inference:dev',
  ATELIER_POD_API_URL: 'http://127.0.0.1:8081',
}

const inference = {
  ATELIER_JOB_ID: '01jd2q3w4e5r6t7y8u9i0p1a2s',
  ATELIER_ATTEMPT: '1',
  ATELIER_API_URL: 'http://127.0.0.1:8081',
  ATELIER_MODEL_FOLDER: '/models/demo',
  POD_IP: '127.1.0.3',
}

const nodeAgent = { KUBECONFIG: '/k', ATELIER_NODE_FOLDER: '/n', ATELIER_IMAGE_MAP: '/i.json' }

describe('a process that is configured well', () => {
  it('gets values, not variables', () => {
    expect(readApiConfig(api)).toMatchObject({
      listen: { host: '127.0.0.1', port: 8080 },
      metricsListen: { host: '127.0.0.1', port: 8082 },
      publicUrl: 'http://127.0.0.1:8080',
      kubeconfigPath: undefined,
      demoAccountsFile: undefined,
      logLevel: 'info',
    })
    expect(readControllerConfig({ ...controller, ATELIER_ALLOW_CPU: 'true' })).toMatchObject({
      allowCpu: true,
      metricsListen: { host: '127.0.0.1', port: 8083 },
    })
    expect(readControllerConfig(controller)).toMatchObject({
      allowCpu: false,
      leaderElection: true,
      leaseSeconds: 15,
      podName: undefined,
    })
    expect(readInferenceConfig(inference)).toMatchObject({ attempt: 1, graceSeconds: 30 })
    expect(readNodeAgentConfig(nodeAgent)).toMatchObject({ nodeCount: 2, gpusPerNode: 2 })
  })

  it('treats an empty variable as one that is not set', () => {
    const config = readApiConfig({ ...api, KUBECONFIG: '', ATELIER_LISTEN: '' })
    expect(config.kubeconfigPath).toBeUndefined()
    expect(config.listen.port).toBe(8080)
  })

  it('ignores variables of others', () => {
    expect(() => readApiConfig({ ...api, HOME: '/root', PATH: '/bin' })).not.toThrow()
  })
})

function messageOf(read: () => unknown): string {
  try {
    read()
  } catch (error) {
    if (isAppError(error, 'platform.misconfigured')) return error.message
  }
  throw new Error('the variables were accepted')
}

describe('a process that is configured badly', () => {
  it('names every missing variable in one message', () => {
    const message = messageOf(() => readApiConfig({}))
    for (const name of Object.keys(api)) expect(message).toContain(`${name}: is missing`)
    expect(message).not.toContain('KUBECONFIG')
    const other = messageOf(() => readControllerConfig({}))
    for (const name of Object.keys(controller)) expect(other).toContain(`${name}: is missing`)
  })

  it('says what is wrong with each variable, without repeating its value', () => {
    const secret = 'https://user:hunter2@example.org'
    const message = messageOf(() =>
      readApiConfig({ ...api, ATELIER_LISTEN: '8080', MONGODB_URI: secret, REDIS_URL: secret }),
    )
    expect(message).toContain('ATELIER_LISTEN: must be host:port, such as 127.0.0.1:8080')
    expect(message).toContain('MONGODB_URI: must be a mongodb:// address')
    expect(message).toContain('REDIS_URL: must be a redis:// address')
    expect(message).not.toContain('hunter2')
    expect(message).not.toContain('ATELIER_PUBLIC_URL')
  })

  it.each([
    ['MONGODB_URI', 'mongodb://127.0.0.1:27017'],
    ['MONGODB_URI', 'mongodb://127.0.0.1:27017/?replicaSet=rs0'],
    ['REDIS_URL', 'http://127.0.0.1:6379'],
    ['ATELIER_PUBLIC_URL', 'atelier.example'],
    ['ATELIER_PUBLIC_URL', 'ftp://atelier.example'],
    ['ATELIER_LISTEN', '127.0.0.1:65536'],
    ['ATELIER_LISTEN', '127.0.0.1:'],
    ['ATELIER_LISTEN', '::1:8080'],
    ['ATELIER_LOG_LEVEL', 'loud'],
  ])('refuses %s=%s', (name, value) => {
    expect(messageOf(() => readApiConfig({ ...api, [name]: value }))).toContain(`${name}: must be`)
  })

  it.each([
    ['ATELIER_NODE_COUNT', '0'],
    ['ATELIER_NODE_COUNT', '1001'],
    ['ATELIER_NODE_COUNT', '1.5'],
    ['ATELIER_NODE_GPUS', '-1'],
    ['ATELIER_NODE_GPUS', 'two'],
  ])('refuses %s=%s', (name, value) => {
    const message = messageOf(() => readNodeAgentConfig({ ...nodeAgent, [name]: value }))
    expect(message).toContain(`${name}: must be a whole number`)
  })

  it.each([
    [
      'ATELIER_ALLOW_CPU',
      'yes',
      () => readControllerConfig({ ...controller, ATELIER_ALLOW_CPU: 'yes' }),
    ],
    [
      'ATELIER_LEASE_SECONDS',
      '2',
      () => readControllerConfig({ ...controller, ATELIER_LEASE_SECONDS: '2' }),
    ],
    ['POD_IP', 'localhost', () => readInferenceConfig({ ...inference, POD_IP: 'localhost' })],
    ['ATELIER_ATTEMPT', '0', () => readInferenceConfig({ ...inference, ATELIER_ATTEMPT: '0' })],
  ])('refuses %s=%s', (name, _, read) => {
    expect(messageOf(read)).toContain(`${name}: must be`)
  })

  it('accepts IPv6 and port 0 for listening', () => {
    expect(readApiConfig({ ...api, ATELIER_LISTEN: '[::1]:0' }).listen).toEqual({
      host: '::1',
      port: 0,
    })
  })
})
