import { describe, expect, it } from 'vitest'
import { readNodeAgentConfig } from '../../../src/platform/config/node-agent.ts'
import { parseImageMap } from '../../../src/local/node-agent/image-map.ts'
import { nodeDraft } from '../../../src/local/node-agent/nodes.ts'
import { choosePodAddress } from '../../../src/local/node-agent/pod-keeper.ts'
import { refusalsOf } from '../../../src/local/node-agent/pod.ts'
import { countResult, isVerdict } from '../../../src/local/node-agent/probes.ts'
import {
  kubeletBackoff,
  mustRestart,
  restartDelayMs,
} from '../../../src/local/node-agent/restart-policy.ts'
import { aContainer, aPod } from './builders.ts'

describe('restarts', () => {
  it.each([
    [0, 0],
    [1, 10_000],
    [2, 20_000],
    [5, 160_000],
    [6, 300_000],
    [5000, 300_000],
  ])('wait after %i restarts for %i ms', (restarts, expected) => {
    expect(restartDelayMs(restarts, kubeletBackoff)).toBe(expected)
  })

  it.each([
    { policy: 'Never', exitCode: 1, expected: false },
    { policy: 'OnFailure', exitCode: 1, expected: true },
    { policy: 'OnFailure', exitCode: 0, expected: false },
    { policy: 'Always', exitCode: 0, expected: true },
    { policy: undefined, exitCode: 0, expected: true },
    { policy: 'Always', exitCode: 0, isFirst: true, expected: false },
    { policy: 'Always', exitCode: 1, isFirst: true, expected: true },
    { policy: 'Never', exitCode: 1, isFirst: true, expected: false },
  ])('follow the policy: %j', ({ policy, expected, ...end }) => {
    expect(mustRestart(policy, end)).toBe(expected)
  })
})

describe('choosePodAddress', () => {
  it('stays on loopback, away from 127.0.0.1 and network addresses', () => {
    for (let index = 0; index < 2000; index += 1) {
      const address = choosePodAddress(`uid-${index}`, new Set())
      const [first, second, third, fourth] = address.split('.').map(Number)
      expect([first, third !== undefined && third <= 255]).toEqual([127, true])
      expect(second).toBeGreaterThanOrEqual(16)
      expect(second).toBeLessThanOrEqual(239)
      expect(fourth).toBeGreaterThanOrEqual(1)
      expect(fourth).toBeLessThanOrEqual(254)
    }
  })

  it('is the same for the same pod and another when that is taken', () => {
    const first = choosePodAddress('a', new Set())
    expect(choosePodAddress('a', new Set(['127.1.1.1']))).toBe(first)
    expect(choosePodAddress('a', new Set([first]))).not.toBe(first)
  })
})

describe('probe results', () => {
  it('make a verdict after the threshold in a row, and an opposite one resets the count', () => {
    const thresholds = { successThreshold: 2, failureThreshold: 3 }
    const results = [false, false, true, false, false, false, true, true]
    const verdicts: boolean[] = []
    let count: ReturnType<typeof countResult> | undefined
    for (const result of results) {
      count = countResult(count, result)
      verdicts.push(isVerdict(count, thresholds))
    }
    expect(verdicts).toEqual([false, false, false, false, false, true, false, true])
  })
})

describe('refusalsOf', () => {
  it('has nothing against a restricted pod with a projected token', () => {
    const sources = [{ serviceAccountToken: { path: 'token' } }]
    const securityContext = { runAsNonRoot: true, allowPrivilegeEscalation: false }
    const pod = aPod({
      automountServiceAccountToken: false,
      containers: [aContainer({ securityContext })],
      volumes: [
        { name: 'token', projected: { sources } },
        { name: 'work', emptyDir: {} },
      ],
    })
    expect(refusalsOf(pod)).toEqual([])
  })

  it.each([
    [{ hostNetwork: true }, 'hostNetwork'],
    [{ hostPID: true }, 'hostPID'],
    [{ hostIPC: true }, 'hostIPC'],
    [{ volumes: [{ name: 'v', hostPath: { path: '/' } }] }, 'hostPath'],
    [{ volumes: [{ name: 'v', nfs: { server: 's', path: '/' } }] }, 'nfs'],
    [{ containers: [aContainer({ livenessProbe: { grpc: { port: 1 } } })] }, 'grpc'],
    [
      {
        containers: [aContainer({ readinessProbe: { httpGet: { port: 1, scheme: 'HTTPS' } } })],
      },
      'an HTTPS probe',
    ],
    [{ containers: [aContainer({ lifecycle: {} })] }, 'lifecycle'],
    [{ initContainers: [aContainer({ lifecycle: {} })] }, 'lifecycle'],
    [
      { initContainers: [aContainer({ restartPolicy: 'Always' })] },
      'init containers that go on running',
    ],
  ])('names the point of %j', (spec, point) => {
    expect(refusalsOf(aPod(spec))).toEqual([point])
  })
})

describe('a Node', () => {
  it('has the taint, and labels that call its GPUs simulated if it has any', () => {
    const { metadata, spec } = nodeDraft({ name: 'n-1', gpus: 0 })
    expect(Object.keys(metadata.labels ?? {}).join()).not.toMatch(/nvidia|gpu/)
    expect(spec?.taints?.[0]?.key).toBe('atelier.dev/process-node')
    expect(nodeDraft({ name: 'n-1', gpus: 2 }).metadata.labels).toMatchObject({
      'atelier.dev/simulated-gpu': 'true',
      'nvidia.com/gpu.count': '2',
    })
  })
})

describe('the image map', () => {
  it('names the program of each image and the paths of all', () => {
    const images = parseImageMap({
      paths: { '/models': '/repo/models' },
      'a:1': { command: ['node'] },
    })
    const rewrites = [{ from: '/models', to: '/repo/models' }]
    expect(images.get('a:1')).toEqual({ command: ['node'], environment: {}, rewrites })
    expect(images.get('paths')).toBeUndefined()
  })

  it('names the folder of an image that is mounted', () => {
    const images = parseImageMap({ 'm:1': { folder: '/models/m' } })
    expect(images.get('m:1')).toMatchObject({ folder: '/models/m', command: [] })
  })

  it.each([
    ['an empty command', { a: { command: [] } }],
    ['an unknown field', { a: { command: ['sh'], workDir: '/' } }],
    ['a relative path', { paths: { models: '/x' } }],
    ['a relative folder', { a: { folder: 'models' } }],
    ['a folder that is run', { a: { folder: '/models', command: ['sh'] } }],
    ['a list', []],
  ])('refuses %s', (_, json) => {
    expect(() => parseImageMap(json)).toThrow(/./)
  })
})

describe('the configuration', () => {
  const least = { KUBECONFIG: '/k', ATELIER_NODE_FOLDER: '/f', ATELIER_IMAGE_MAP: '/i' }

  it('refuses foreign Nodes and has a prefix unless told otherwise', () => {
    expect(readNodeAgentConfig(least)).toMatchObject({
      allowForeignNodes: false,
      nodePrefix: 'atelier-node',
    })
    const told = { ...least, ATELIER_NODE_ALLOW_FOREIGN: 'true', ATELIER_NODE_PREFIX: 'mine' }
    expect(readNodeAgentConfig(told)).toMatchObject({ allowForeignNodes: true, nodePrefix: 'mine' })
  })

  it.each([
    ['ATELIER_NODE_PREFIX', 'Not A Label'],
    ['ATELIER_NODE_ALLOW_FOREIGN', 'perhaps'],
  ])('names %s when it is %j', (name, value) => {
    expect(() => readNodeAgentConfig({ ...least, [name]: value })).toThrow(name)
  })
})
