import { describe, expect, it } from 'vitest'
import type { GenerationJob, GenerationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import {
  aPodState,
  aPool,
  aPoolPod,
  aReservedJob,
  aSlot,
  boardOver,
  planned,
} from './board-scene.ts'
import { aModel, at } from './builders.ts'
import { aKubeNode } from './kube-builders.ts'

const pod = aPoolPod()
const { uid: podUID, name: podName } = pod.metadata
const queued = { kind: 'Queued', cause: 'Turn' }
const inSlot = {
  kind: 'Slot',
  slot: {
    pod: { namespace: 'vision', pool: 'warm', ip: '127.9.9.9' },
    podName,
    podUID,
    nodeName: 'node-1',
    runner: 'runner-1',
  },
}
const taken = { number: 1, place: { kind: 'Slot', podUID } } as const

/** A pool with one ready pod, on a cluster without room for any other. */
function withPool(over: Parameters<typeof boardOver>[0] = {}, slots = [aSlot()]) {
  const scene = boardOver({
    modelPools: [aPool()],
    poolPods: [pod],
    nodes: [aKubeNode({ gpus: 0 }), aKubeNode({ name: 'down', ready: 'False' })],
    ...over,
  })
  scene.pools.noteState(podUID, aPodState(slots))
  return scene
}

/** The job as the cache shows it once its slot is written down. */
function withSlot(job: GenerationJob, outcome?: 'Completed'): GenerationJob {
  const attempt = { number: 1, pool: 'warm', podUID, ...(outcome && { outcome }) }
  return { ...job, status: { ...job.status, attempt } }
}

const [first, second] = [aReservedJob('1'), aReservedJob('2')]

describe('a free slot of a pool', () => {
  it('goes to the first of two jobs, with all that a pod must be told', () => {
    const { board } = withPool({ jobs: [second, first] })
    expect(board.placeOf(first)).toEqual(inSlot)
    expect(board.placeOf(second)).toEqual(queued)
    board.stop()
  })

  it('is one of the model that is missed least when none has the job’s', () => {
    const models = ['large', 'other', 'other']
    const spec = { models: ['demo', 'large', 'other'].map((name) => ({ name })) }
    const { board, pools } = withPool(
      { jobs: [first], modelPools: [aPool(spec)] },
      models.map((model) => aSlot({ model })),
    )
    const slot = { ...inSlot.slot, instead: 'other' }
    expect(board.placeOf(first)).toEqual({ ...inSlot, slot })
    const place = { ...taken.place, instead: 'other' }
    expect(board.reserve(first, { ...taken, place })).toBe(true)
    const [view] = pools.views()
    expect(view?.slots.map(({ model }) => model)).toEqual(['large', 'other'])
    board.stop()
  })

  it('is never given twice, whatever the caches show', () => {
    const { board, cluster } = withPool({ jobs: [first, second] })
    expect(board.placeOf(first)).toEqual(inSlot)
    expect(board.reserve(first, taken)).toBe(true)
    expect(board.placeOf(second)).toEqual(queued)
    expect(board.reserve(second, taken)).toBe(false)
    cluster.jobs = [withSlot(first), second]
    board.noteJob('vision/job-1')
    expect(board.placeOf(second)).toEqual(queued)
    expect(board.reserve(second, taken)).toBe(false)
    board.stop()
  })

  it('is given to no job with a LoRA that its pod lacks', () => {
    const style = { ...aModel({ type: 'Lora' }), metadata: { ...aModel().metadata, name: 'style' } }
    const spec = { models: [{ name: 'demo' }, { name: 'style' }] }
    const loras = [{ name: 'style', scale: 1 }]
    const job = aReservedJob('3', { parameters: { ...first.spec.parameters, loras } })
    const { board } = withPool({
      jobs: [first, job],
      models: [aModel(), style],
      modelPools: [aPool(spec)],
    })
    expect(board.reserve(job, taken)).toBe(false)
    expect(board.reserve(first, taken)).toBe(true)
    board.stop()
  })

  it('is given again when the attempt is over, before its job says so', async () => {
    const { board, cluster, pools, woken } = withPool({ jobs: [first, second] })
    board.reserve(first, taken)
    cluster.jobs = [withSlot(first), second]
    expect(board.placeOf(second)).toEqual(queued)
    pools.release({ pod: podUID, uid: first.metadata.uid, attempt: 1 })
    await planned()
    expect(woken).toEqual(['vision/job-2'])
    expect(board.placeOf(second)).toEqual(inSlot)
  })

  it('wakes the job again that was to get one that has gone, when another has come', async () => {
    const other = { ...aPoolPod('pool-warm-5d-y'), status: pod.status }
    const { board, cluster, pools, woken } = withPool({ jobs: [first] })
    expect(board.placeOf(first)).toEqual(inSlot)
    cluster.poolPods = [other]
    expect(board.placeOf(first)).toEqual(queued)
    woken.length = 0
    pools.noteState(other.metadata.uid, aPodState())
    await planned()
    expect(woken).toEqual(['vision/job-1'])
    cluster.poolPods = [pod]
    expect(board.reserve(first, { ...taken, place: { ...taken.place, podUID: 'gone' } })).toBe(
      false,
    )
    woken.length = 0
    await planned()
    expect(woken).toEqual(['vision/job-1'])
  })

  it('is given again when the status of the job could not be written', async () => {
    const { board, woken } = withPool({ jobs: [first, second] })
    board.placeOf(first)
    board.reserve(first, taken)
    board.release(first)
    await planned()
    expect(woken).toContain('vision/job-2')
    expect(board.placeOf(second)).toEqual(inSlot)
  })

  it('is offered again to a job whose status may have been written', () => {
    const { board, cluster } = withPool({ jobs: [first, second] })
    board.placeOf(first)
    board.reserve(first, taken)
    board.standAside(first)
    expect(board.placeOf(first)).toEqual(inSlot)
    expect(board.reserve(first, taken)).toBe(true)
    expect(board.placeOf(second)).toEqual(queued)
    cluster.poolPods = []
    expect(board.placeOf(first)).toEqual(queued)
    cluster.poolPods = [pod]
    board.touch()
    expect(board.reserve(second, taken)).toBe(true)
    board.stop()
  })

  it('is not given while its pod drains, is not ready, or is not known to answer', () => {
    const notReady = { ...pod, status: { ...pod.status, conditions: [] } }
    const { board, pools } = withPool({ jobs: [first] })
    pools.noteState(podUID, { ...aPodState(), draining: true })
    expect(board.placeOf(first)).toEqual(queued)
    const silent = withPool({ jobs: [first] })
    silent.pools.noteState(podUID, undefined)
    expect(silent.board.placeOf(first)).toEqual(queued)
    expect(withPool({ jobs: [first], poolPods: [notReady] }).board.placeOf(first)).toEqual(queued)
    board.stop()
    silent.board.stop()
  })

  it('is not given when the pod went away after the plan', () => {
    const { board, cluster } = withPool({ jobs: [first] })
    expect(board.placeOf(first)).toEqual(inSlot)
    cluster.poolPods = []
    expect(board.reserve(first, taken)).toBe(false)
    expect(board.placeOf(first)).toEqual(queued)
    board.stop()
  })

  it('counts under the caps of its owner', () => {
    const owner = { department: 'vision', user: 'kim', limits: { runningJobs: 1 } }
    const jobs = [aReservedJob('1', { owner }), aReservedJob('2', { owner })]
    const { board } = withPool({ jobs }, [aSlot(), aSlot()])
    const places = jobs.map((job) => board.placeOf(job).kind)
    expect(places).toEqual(['Slot', 'Queued'])
    board.stop()
  })
})

function poolIn(namespace: string, model = 'demo') {
  return { namespace, models: [{ name: model }] }
}

type Served = Partial<GenerationJobSpec> & {
  readonly pool?: ReturnType<typeof poolIn>
  readonly kind: 'Slot' | 'Queued'
}

describe('a pool serves', () => {
  const fromConfigMap: GenerationJobSpec['inputs'] = [
    { role: 'Image', configMapRef: { name: 'parts', key: 'a.png' } },
  ]

  it.each([
    ['a job of its namespace', { pool: poolIn('vision'), kind: 'Slot' }],
    ['a job that asks for it', { pool: poolIn('vision'), execution: 'Pooled', kind: 'Slot' }],
    ['every namespace from the platform’s', { pool: poolIn('atelier-jobs'), kind: 'Slot' }],
    ['no job of another namespace', { pool: poolIn('assembly'), kind: 'Queued' }],
    ['no model that it does not have', { pool: poolIn('vision', 'other'), kind: 'Queued' }],
    ['no job with inputs of ConfigMaps', { inputs: fromConfigMap, kind: 'Queued' }],
    ['no job that wants its own pod', { execution: 'Dedicated', kind: 'Queued' }],
  ] as const)('%s', (_, given: Served) => {
    const { pool = poolIn('vision'), kind, ...spec } = given
    const { namespace, models } = pool
    const job = aReservedJob('1', spec)
    const { board } = withPool({
      jobs: [job],
      modelPools: [aPool({ models }, namespace)],
      poolPods: [aPoolPod('pool-warm-5d-x', namespace)],
    })
    expect(board.placeOf(job).kind).toBe(kind)
    board.stop()
  })

  it('says so when none can, and wakes the job only for a slot', async () => {
    const job = aReservedJob('1', { execution: 'Pooled' })
    const { board, cluster, woken } = withPool({ jobs: [job], modelPools: [], poolPods: [] })
    expect(board.placeOf(job)).toEqual({ kind: 'Queued', cause: 'NoPool' })
    cluster.modelPools = [aPool()]
    board.touch()
    await planned()
    expect(board.placeOf(job)).toEqual(queued)
    expect(woken).toEqual([])
    cluster.poolPods = [pod]
    board.touch()
    await planned()
    expect(woken).toEqual(['vision/job-1'])
  })
})

describe('what waits for a pool', () => {
  it('is told to it: as many jobs as would start, with the time that they take', async () => {
    const limits = { runningJobs: 2 }
    const jobs = ['1', '2', '3', '4'].map((id) =>
      aReservedJob(id, { owner: { department: 'vision', user: 'kim', limits } }),
    )
    const { board, demand } = withPool({ jobs: [...jobs, aReservedJob('5')] })
    board.touch()
    await planned()
    // One of the three starts: there is a slot for it.
    expect(demand()).toEqual({ waitingJobs: 2, expectedSeconds: 10 })
  })

  it('is nothing for jobs that want a pod of their own', async () => {
    const { board, demand } = withPool({ jobs: [aReservedJob('1', { execution: 'Dedicated' })] })
    board.touch()
    await planned()
    expect(demand().waitingJobs).toBe(0)
  })
})

describe('past use', () => {
  it('lets those go first who have used less of late', () => {
    const big = aReservedJob('9', { owner: { department: 'assembly' } })
    const ended = { ...big.status, completionTime: at(0), activeSeconds: 3000 }
    const past = { ...big, status: ended }
    const greedy = aReservedJob('1', { owner: { department: 'assembly' } })
    const modest = aReservedJob('2', { owner: { department: 'vision' } })
    const { board } = boardOver({ jobs: [greedy, modest, past] })
    expect(board.placeOf(greedy)).toEqual(queued)
    expect(board.placeOf(modest)).toEqual({ kind: 'Node', nodeName: 'node-1' })
  })
})
