import { describe, expect, it } from 'vitest'
import { readAgentConfig } from '../../../src/local/node-agent/config.ts'
import { parseImageMap } from '../../../src/local/node-agent/image-map.ts'
import { nodeDraft, nodeStatus } from '../../../src/local/node-agent/node-object.ts'
import { choosePodAddress } from '../../../src/local/node-agent/pod-address.ts'
import { referencedNames } from '../../../src/local/node-agent/pod-sources.ts'
import { countResult, isVerdict, portNumber } from '../../../src/local/node-agent/probes.ts'
import { refusalsOf } from '../../../src/local/node-agent/refusal.ts'
import {
  kubeletBackoff,
  mustRestart,
  restartDelayMs,
} from '../../../src/local/node-agent/restart-policy.ts'
import { tokenWants, volumeFiles } from '../../../src/local/node-agent/volume-files.ts'
import { aContainer, aPlace, aPod, content, noSources, noon } from './builders.ts'

describe('restarts', () => {
  it.each([
    [1, 0],
    [2, 10_000],
    [3, 20_000],
    [6, 160_000],
    [7, 300_000],
    [5000, 300_000],
  ])('waits after end %i in a row for %i ms', (ends, expected) => {
    expect(restartDelayMs(ends, kubeletBackoff)).toBe(expected)
  })

  it.each([
    { policy: 'Never', exitCode: 1, isInit: false, expected: false },
    { policy: 'Never', exitCode: 0, isInit: true, expected: false },
    { policy: 'OnFailure', exitCode: 1, isInit: false, expected: true },
    { policy: 'OnFailure', exitCode: 0, isInit: false, expected: false },
    { policy: 'Always', exitCode: 0, isInit: false, expected: true },
    { policy: 'Always', exitCode: 0, isInit: true, expected: false },
    { policy: 'Always', exitCode: 1, isInit: true, expected: true },
    { policy: undefined, exitCode: 0, isInit: false, expected: true },
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

  it('are sought at a port by number or by name', () => {
    const container = aContainer({ ports: [{ name: 'web', containerPort: 8080 }] })
    expect([portNumber(9, container), portNumber('web', container)]).toEqual([9, 8080])
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
    [{ volumes: [{ name: 'v', hostPath: { path: '/' } }] }, 'hostPath of volume v'],
    [
      { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] },
      'persistentVolumeClaim of volume v',
    ],
    [
      { containers: [aContainer({ securityContext: { privileged: true } })] },
      'privileged of container main',
    ],
    [
      { containers: [aContainer({ livenessProbe: { grpc: { port: 1 } } })] },
      'a gRPC or TCP probe of container main',
    ],
    [{ containers: [aContainer({ lifecycle: {} })] }, 'lifecycle of container main'],
    [{ initContainers: [aContainer({ restartPolicy: 'Always' })] }, 'a restartable init container'],
  ])('names the point of %j', (spec, point) => {
    expect(refusalsOf(aPod(spec))).toEqual([point])
  })
})

describe('volumes', () => {
  it('take files from Secrets, all keys or the named ones, with modes', () => {
    const secrets = new Map([['keys', content({ a: '1', b: '2' })]])
    const context = { place: aPlace(), sources: { ...noSources, secrets } }
    const all = volumeFiles({ name: 'v', secret: { secretName: 'keys' } }, context)
    expect(all.map(({ path, mode }) => [path, mode])).toEqual([
      ['a', 0o644],
      ['b', 0o644],
    ])
    const items = [{ key: 'b', path: 'sub/b', mode: 0o400 }]
    const some = volumeFiles(
      { name: 'v', secret: { secretName: 'keys', items, defaultMode: 0o600 } },
      context,
    )
    expect(some).toEqual([{ path: 'sub/b', content: Buffer.from('2'), mode: 0o400 }])
  })

  it('complain about what is missing unless it is optional', () => {
    const context = { place: aPlace(), sources: noSources }
    expect(() => volumeFiles({ name: 'v', configMap: { name: 'no' } }, context)).toThrow(
      'there is no ConfigMap no',
    )
    expect(volumeFiles({ name: 'v', configMap: { name: 'no', optional: true } }, context)).toEqual(
      [],
    )
  })

  it('name each Secret and ConfigMap that is to be read once', () => {
    const pod = aPod({
      volumes: [
        { name: 'a', secret: { secretName: 's1' } },
        {
          name: 'b',
          projected: { sources: [{ secret: { name: 's2' } }, { configMap: { name: 'c1' } }] },
        },
        { name: 'c', configMap: { name: 'c1' } },
      ],
      containers: [
        aContainer({
          env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 's1', key: 'k' } } }],
          envFrom: [{ configMapRef: { name: 'c2' } }],
        }),
      ],
    })
    expect(referencedNames(pod)).toEqual({ secrets: ['s1', 's2'], configMaps: ['c1', 'c2'] })
  })

  it('want tokens with audience and life time', () => {
    const serviceAccountToken = { path: 'token', audience: 'here', expirationSeconds: 600 }
    const sources = [{ serviceAccountToken }, { serviceAccountToken: { path: 'other' } }]
    expect(tokenWants(aPod({ volumes: [{ name: 't', projected: { sources } }] }))).toEqual([
      { volume: 't', path: 'token', audiences: ['here'], expirationSeconds: 600 },
      { volume: 't', path: 'other', audiences: [], expirationSeconds: 3600 },
    ])
  })
})

describe('a Node', () => {
  const machine = {
    cpus: 2,
    memoryBytes: 2 ** 30,
    architecture: 'amd64' as const,
    kernelVersion: '6',
    bootId: 'b',
  }
  const shape = { name: 'n-1', gpus: 0, since: noon, machine }

  it('without GPUs has no GPU labels, but the taint', () => {
    const { metadata, spec } = nodeDraft(shape)
    expect(Object.keys(metadata.labels ?? {}).join()).not.toContain('nvidia')
    expect(spec?.taints?.[0]?.key).toBe('atelier.dev/process-node')
  })

  it('reports the machine and whether it is ready', () => {
    const status = nodeStatus({ ...shape, gpus: 3 }, { now: noon, isReady: false })
    expect(status.capacity).toEqual({
      cpu: '2',
      memory: '1048576Ki',
      pods: '110',
      'nvidia.com/gpu': '3',
    })
    expect(status.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('False')
  })
})

describe('the image map', () => {
  it('gives every image the common paths and its own', () => {
    const images = parseImageMap({
      paths: { '/models': '/repo/models' },
      'a:1': { command: ['node'], paths: { '/data': '/repo/data' } },
      'b:1': { command: ['sh'] },
    })
    expect(images.get('a:1')?.rewrites).toEqual([
      { from: '/models', to: '/repo/models' },
      { from: '/data', to: '/repo/data' },
    ])
    expect(images.get('b:1')?.rewrites).toHaveLength(1)
  })

  it.each([
    ['an empty command', { a: { command: [] } }],
    ['an unknown field', { a: { command: ['sh'], workDir: '/' } }],
    ['a relative path', { paths: { models: '/x' } }],
    ['a list', []],
  ])('refuses %s', (_, json) => {
    expect(() => parseImageMap(json)).toThrow(/./)
  })
})

describe('the configuration', () => {
  const least = { KUBECONFIG: '/k', ATELIER_NODE_FOLDER: '/f', ATELIER_IMAGE_MAP: '/i' }

  it('refuses foreign Nodes and has a prefix unless told otherwise', () => {
    expect(readAgentConfig(least)).toMatchObject({
      allowForeignNodes: false,
      nodePrefix: 'atelier-node',
    })
    const told = { ...least, ATELIER_NODE_ALLOW_FOREIGN: 'true', ATELIER_NODE_PREFIX: 'mine' }
    expect(readAgentConfig(told)).toMatchObject({ allowForeignNodes: true, nodePrefix: 'mine' })
  })

  it.each([
    ['ATELIER_NODE_PREFIX', 'Not A Label'],
    ['ATELIER_NODE_ALLOW_FOREIGN', 'perhaps'],
  ])('names %s when it is %j', (name, value) => {
    expect(() => readAgentConfig({ ...least, [name]: value })).toThrow(name)
  })
})
