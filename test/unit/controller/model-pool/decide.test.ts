import { describe, expect, it } from 'vitest'
import { decide } from '../../../../src/controller/model-pool/decide.ts'
import { poolShape } from '../../../../src/controller/model-pool/deployment.ts'
import type { PoolAction, PoolObserved } from '../../../../src/controller/model-pool/observed.ts'
import type { PoolPod } from '../../../../src/controller/model-pool/pool-board.ts'
import type { PoolFacts } from '../../../../src/controller/model-pool/pool-models.ts'
import type { Deployment } from '../../../../src/platform/kube/resources.ts'
import type { ModelPool, ModelPoolStatus } from '../../../../src/shared/crd/model-pool.ts'
import { noResources } from '../../../../src/shared/domain/admission/resources.ts'
import { aPool } from '../board-scene.ts'
import { aCondition, aModel, at, createdMs, packSettings } from '../builders.ts'
import { aKubeNode } from '../kube-builders.ts'

const settings = {
  inferenceImage: 'atelier.dev/inference:1',
  podApiUrl: 'http://api.atelier-system:8081',
  nodeSelector: {},
  packs: packSettings,
}
const facts: PoolFacts = {
  modelOf: (name) => (name === 'demo' ? aModel() : undefined),
  onCpu: false,
}
const nowMs = createdMs + 600_000

function aDeployment(pool: ModelPool, replicas: number): Deployment {
  const { metadata, spec } = poolShape({ pool, facts, settings }).deployment
  const stored = { uid: 'd', resourceVersion: '9', creationTimestamp: at(0) }
  return {
    metadata: { ...metadata, ...stored },
    spec: { ...spec, replicas, progressDeadlineSeconds: 600 },
    status: { replicas, readyReplicas: replicas },
  }
}

function aPod(uid: string, over: Partial<PoolPod> = {}): PoolPod {
  return {
    namespace: 'vision',
    pool: 'warm',
    key: 'vision/warm',
    name: `pool-warm-5d-${uid}`,
    uid,
    createdMs,
    ready: true,
    deleting: false,
    terminal: false,
    marked: false,
    leaving: false,
    request: noResources,
    packs: [],
    jobs: [],
    idleSinceMs: nowMs,
    ...over,
  }
}

const idle = { idleSinceMs: createdMs }

type Options = Partial<Omit<PoolObserved, 'pool'>> & {
  readonly spec?: Partial<ModelPool['spec']>
  readonly status?: ModelPoolStatus
  readonly annotations?: Readonly<Record<string, string>>
  readonly namespace?: string
  /** Of its own Deployment; absent: there is none. */
  readonly replicas?: number
}

function observe({
  spec,
  status,
  annotations = {},
  namespace,
  replicas,
  ...over
}: Options): PoolObserved {
  const plain = aPool({ idleSeconds: 60, maxReplicas: 5, ...spec }, namespace)
  const pool: ModelPool = {
    ...plain,
    metadata: { ...plain.metadata, annotations },
    ...(status === undefined ? {} : { status }),
  }
  return {
    pool,
    facts,
    department: undefined,
    nodes: [aKubeNode({ gpus: 4 })],
    key: 'Own',
    deployment:
      replicas === undefined
        ? { state: 'Absent' }
        : { state: 'Own', object: aDeployment(pool, replicas) },
    unusedTemplates: [],
    pods: [],
    demand: { waitingJobs: 0, expectedSeconds: 0 },
    startupSeconds: 20,
    nowMs,
    ...over,
  }
}

function decided(options: Options = {}) {
  const observed = observe(options)
  const decision = decide(observed, settings)
  const kinds = decision.actions.map(({ kind }) => kind)
  return { ...decision, kinds, ready: readyOf(decision.actions) }
}

/** `status/reason` and the message that are written. */
function readyOf(actions: readonly PoolAction[]) {
  const written = actions.find((action) => action.kind === 'WriteStatus')
  const patch: ModelPoolStatus = written === undefined ? {} : statusOf(written.patch)
  const [ready] = patch.conditions ?? []
  return { is: `${ready?.status}/${ready?.reason}`, message: ready?.message ?? '' }
}

function statusOf(patch: object): ModelPoolStatus {
  return patch
}

const two = [aPod('a', idle), aPod('b', idle)]

describe('a new pool', () => {
  it('gets its key before its Deployment', () => {
    const { actions, kinds } = decided({ key: 'Absent', spec: { minReplicas: 2 } })
    expect(kinds).toEqual(['EnsureAccount', 'CreateKey', 'ApplyDeployment', 'WriteStatus'])
    expect(actions[2]).toMatchObject({ draft: { spec: { replicas: 2 } } })
  })

  it('gets the template of its claims before the Deployment that names it', () => {
    const gpu = { count: 1, sharing: 'Exclusive', api: 'DRA' } as const
    expect(decided({ spec: { gpu } }).kinds).toEqual([
      'CreateClaimTemplate',
      'ApplyDeployment',
      'WriteStatus',
    ])
  })

  it('loses templates that no pod refers to, once its Deployment is right', () => {
    const unused = { name: 'pool-warm-old', namespace: 'vision', uid: 'template-1' }
    const deletion = { kind: 'DeleteClaimTemplate', template: unused }
    expect(decided({ replicas: 0, unusedTemplates: [unused] }).actions).toContainEqual(deletion)
    const other = aDeployment(aPool({ gpu: { count: 2, sharing: 'Exclusive', api: 'DRA' } }), 0)
    const changing = { deployment: { state: 'Own', object: other } as const }
    const { kinds } = decided({ ...changing, unusedTemplates: [unused] })
    expect(kinds).toEqual(['ApplyDeployment', 'WriteStatus'])
  })

  it('has a Deployment also while it wants no pod', () => {
    const { actions, ready } = decided()
    expect(actions[0]).toMatchObject({ kind: 'ApplyDeployment', draft: { spec: { replicas: 0 } } })
    expect(ready.is).toBe('True/ScaledToZero')
  })
})

describe('a pool at rest', () => {
  it('is written nothing', () => {
    const first = observe({ replicas: 1, spec: { minReplicas: 1 }, pods: [aPod('a')] })
    const { actions } = decide(first, settings)
    const [write] = actions
    const status = write?.kind === 'WriteStatus' ? statusOf(write.patch) : undefined
    expect(actions).toHaveLength(1)
    const pool = { ...first.pool, ...(status && { status }) }
    expect(decide({ ...first, pool }, settings).actions).toEqual([])
  })
})

describe('the number of pods', () => {
  it('grows by a patch of the number only, and is told', () => {
    const demand = { waitingJobs: 3, expectedSeconds: 20 }
    const { actions, kinds } = decided({ replicas: 1, pods: [aPod('a')], demand })
    expect(kinds).toEqual(['Scale', 'RecordEvent', 'WriteStatus'])
    expect(actions[0]).toMatchObject({ replicas: 3 })
    expect(actions[1]).toMatchObject({
      event: { reason: 'ScaledUp', message: 'From 1 to 3 pods: 3 jobs wait.' },
    })
  })

  it('falls after the costs of the pods that go are written, which get no more jobs', () => {
    const pods = [aPod('a'), aPod('b', idle)]
    const { actions, kinds, leaving } = decided({ replicas: 2, pods })
    expect(leaving).toEqual(['b'])
    expect(kinds).toEqual(['SetDeletionCost', 'Scale', 'RecordEvent', 'WriteStatus'])
    expect(actions[0]).toMatchObject({ pod: { uid: 'b' }, cost: '-1' })
    expect(actions[1]).toMatchObject({ replicas: 1 })
  })

  it('falls for a job that needs a Node: the idle one goes, and the busy one gets no more', () => {
    const busy = { idleSinceMs: undefined, jobs: [{ uid: 'x', attempt: 1, model: 'demo' }] }
    const pods = [aPod('a', busy), aPod('b', { idleSinceMs: nowMs - 1 }), aPod('c', busy)]
    const demand = { waitingJobs: 9, expectedSeconds: 60, yielding: ['a', 'b'], room: 0 }
    const { actions, kinds, leaving } = decided({ replicas: 3, pods, demand })
    expect(leaving).toEqual(['b', 'a'])
    expect(kinds).toEqual(['SetDeletionCost', 'Scale', 'RecordEvent', 'WriteStatus'])
    expect(actions[0]).toMatchObject({ pod: { uid: 'b' }, cost: '-1' })
    expect(actions[1]).toMatchObject({ replicas: 2 })
    expect(actions[2]).toMatchObject({
      event: { message: 'From 3 to 2 pods: a job needs a Node of its own.' },
    })
  })

  it('is told to fall for want of work where that is why, also while a Node is kept', () => {
    const demand = { waitingJobs: 0, expectedSeconds: 0, room: 1 }
    const { actions } = decided({ replicas: 2, pods: [aPod('a'), aPod('b', idle)], demand })
    const message = expect.stringContaining('nothing to do for 60 s')
    expect(actions[2]).toMatchObject({ kind: 'RecordEvent', event: { message } })
  })

  it('falls to nothing without costs: there is no choice', () => {
    const { kinds, leaving } = decided({ replicas: 2, pods: two })
    expect(leaving).toEqual(['a', 'b'])
    expect(kinds).toEqual(['Scale', 'RecordEvent', 'WriteStatus'])
  })

  it('makes pods stay that were to go, when jobs wait before they are ended', () => {
    const pods = [aPod('a'), aPod('b', { ...idle, marked: true, leaving: true })]
    const demand = { waitingJobs: 1, expectedSeconds: 1 }
    const { actions, leaving } = decided({ replicas: 2, pods, demand })
    expect(leaving).toEqual([])
    expect(actions[0]).toMatchObject({ kind: 'SetDeletionCost', pod: { uid: 'b' }, cost: '0' })
  })

  it('leaves the pods alone that are about to be ended', () => {
    const pods = [aPod('a'), aPod('b', { ...idle, marked: true, leaving: true })]
    const { kinds, leaving } = decided({ replicas: 1, pods })
    expect(leaving).toEqual(['b'])
    expect(kinds).toEqual(['WriteStatus'])
  })

  it('falls also while a Model is missing, and does not grow then', () => {
    const models = [{ name: 'demo' }, { name: 'gone' }]
    const shrinking = decided({ replicas: 2, spec: { models, replicas: 0 }, pods: two })
    expect(shrinking.kinds).toContain('Scale')
    expect(decided({ spec: { models, minReplicas: 1 } }).kinds).toEqual(['WriteStatus'])
  })
})

describe('the Deployment', () => {
  it.each([
    ['of an older shape', { annotations: { 'atelier.dev/shape': 'old' } }],
    ['without its label', { labels: {} }],
  ])('is applied again when it is one %s', (_what, change) => {
    const observed = observe({ replicas: 1, spec: { minReplicas: 1 }, pods: [aPod('a')] })
    const object = aDeployment(observed.pool, 1)
    const changed = { ...object, metadata: { ...object.metadata, ...change } }
    const deployment = { state: 'Own', object: changed } as const
    const kinds = decide({ ...observed, deployment }, settings).actions.map(({ kind }) => kind)
    expect(kinds).toEqual(['ApplyDeployment', 'WriteStatus'])
  })
})

describe('pods that Kubernetes refuses to make', () => {
  it('are given their account once more, and the reason is told', () => {
    const observed = observe({ replicas: 1, spec: { minReplicas: 1 } })
    const object = aDeployment(observed.pool, 1)
    const failure = { type: 'ReplicaFailure', status: 'True', message: 'quota exceeded' }
    const failing = { ...object, status: { conditions: [failure] } }
    const deployment = { state: 'Own', object: failing } as const
    const { actions, recheckAfterMs } = decide({ ...observed, deployment }, settings)
    expect(actions.map(({ kind }) => kind)).toEqual(['EnsureAccount', 'WriteStatus'])
    expect(readyOf(actions).message).toBe('Kubernetes makes no pod. quota exceeded')
    expect(recheckAfterMs).toBe(30_000)
  })
})

describe('the condition Ready', () => {
  const waiting = { reason: 'ErrImagePull', message: 'no such image' }
  const starting = aPod('a', { ready: false, createdMs: nowMs - 5000, waiting })
  const late = aPod('a', { ready: false, waiting })
  const ofAssembly = aModel({ visibility: 'Departments', departments: ['assembly'] })
  const rows: readonly (readonly [string, Options, readonly [string, string]])[] = [
    [
      'all pods take jobs',
      { replicas: 1, spec: { minReplicas: 1 }, pods: [aPod('a')] },
      ['True/Ready', ''],
    ],
    [
      'some do',
      { replicas: 2, spec: { minReplicas: 2 }, pods: [aPod('a'), { ...starting, uid: 'b' }] },
      ['True/ScalingUp', ''],
    ],
    [
      'none does yet',
      { replicas: 1, spec: { minReplicas: 1 }, pods: [starting] },
      ['False/ScalingUp', 'Pods are on their way.'],
    ],
    [
      'a pod is late',
      { replicas: 1, spec: { minReplicas: 1 }, pods: [late] },
      ['False/ScalingUp', 'Pods wait: ErrImagePull. no such image'],
    ],
    [
      'the stop is set',
      { replicas: 0, annotations: { 'atelier.dev/stop': 'true' } },
      ['False/Stopped', 'atelier.dev/stop'],
    ],
    [
      'somebody wants none',
      { replicas: 0, spec: { replicas: 0 } },
      ['False/Stopped', 'spec.replicas is 0'],
    ],
    [
      'no Node has such GPUs',
      { replicas: 0, nodes: [aKubeNode({ gpus: 0 })] },
      ['False/NoMatchingGpu', '1 × nvidia.com/gpu'],
    ],
    [
      'a Model is missing',
      { spec: { models: [{ name: 'demo' }, { name: 'gone' }] } },
      ['False/ModelNotFound', 'spec.models[1].name: there is no Model gone.'],
    ],
    [
      'a Model is not ready',
      { facts: { ...facts, modelOf: () => aModel({}, 'False/InvalidDelivery') } },
      ['False/ModelNotReady', 'the model’s own message'],
    ],
    [
      'a delivery is not served',
      { facts: { ...facts, modelOf: () => aModel({}, 'False/DeliveryUnsupported') } },
      ['False/DeliveryUnsupported', 'spec.models[0].name'],
    ],
    [
      'there are LoRAs only',
      { facts: { ...facts, modelOf: () => aModel({ type: 'Lora' }) } },
      ['False/NoBaseModel', 'LoRAs'],
    ],
    [
      'a Model belongs to other departments',
      {
        department: 'vision',
        facts: {
          ...facts,
          modelOf: () => ofAssembly,
        },
      },
      ['False/NotVisible', 'department vision'],
    ],
    [
      'a Model belongs to departments, and the namespace to none',
      { facts: { ...facts, modelOf: () => ofAssembly } },
      ['False/NotVisible', 'a namespace without one'],
    ],
    [
      'a Model belongs to departments, and the pool to the platform',
      { namespace: 'atelier-jobs', facts: { ...facts, modelOf: () => ofAssembly } },
      ['True/ScaledToZero', ''],
    ],
    [
      'its Secret is somebody else’s',
      { key: 'Foreign' },
      ['False/NameTaken', 'Secret pool-warm-key'],
    ],
    [
      'its Deployment is somebody else’s',
      { deployment: { state: 'Foreign' } },
      ['False/NameTaken', 'Deployment pool-warm'],
    ],
  ]
  it.each(rows)('when %s', (_when, options, [is, message]) => {
    const { ready } = decided(options)
    expect(ready.is).toBe(is)
    expect(ready.message).toContain(message)
  })

  it('keeps the first message of the scheduler, which changes with every Node', () => {
    const unplaced = { reason: 'Unschedulable', message: '0/4 nodes' }
    const kept = aCondition('Ready', 'False/ScalingUp', 'Pods wait: Unschedulable. 0/3 nodes')
    const status = {
      observedGeneration: 1,
      conditions: [kept],
      replicas: 1,
      readyReplicas: 1,
      selector: 'atelier.dev/pool=warm',
    }
    const options = { replicas: 1, spec: { minReplicas: 1 }, status }
    expect(
      decided({ ...options, pods: [aPod('a', { ready: false, waiting: unplaced })] }).actions,
    ).toEqual([])
  })

  it('is looked at again when a pod may be late, and while it is', () => {
    const pool = { replicas: 1, spec: { minReplicas: 1 } }
    expect(decided({ ...pool, pods: [starting] }).recheckAfterMs).toBe(25_000)
    expect(decided({ ...pool, pods: [late] }).recheckAfterMs).toBe(30_000)
    expect(decided({ ...pool, pods: [aPod('a')] }).recheckAfterMs).toBeUndefined()
  })
})

describe('what is somebody else’s', () => {
  it.each([{ key: 'Foreign' }, { deployment: { state: 'Foreign' } }] as const)(
    'keeps everything from being made: %j',
    (over) => {
      const { kinds, recheckAfterMs } = decided({ spec: { minReplicas: 1 }, ...over })
      expect(kinds).toEqual(['WriteStatus'])
      expect(recheckAfterMs).toBe(30_000)
    },
  )
})
