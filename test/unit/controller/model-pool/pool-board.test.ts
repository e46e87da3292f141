import { describe, expect, it } from 'vitest'
import { UNSEEN_MAX_MS } from '../../../../src/controller/limits.ts'
import type { PoolBoard } from '../../../../src/controller/model-pool/pool-board.ts'
import type {
  GenerationJob,
  GenerationJobStatus,
} from '../../../../src/shared/crd/generation-job.ts'
import { annotations } from '../../../../src/shared/names.ts'
import { aPodState, aPool, aPoolPod, aSlot } from '../board-scene.ts'
import { aCondition, aModel, at, createdMs } from '../builders.ts'

import { askedScene, first, key, pod, sceneOf, second, uid } from './pool-board-scene.ts'

const request = (job: GenerationJob, attempt = 1) => {
  return { pod: uid, uid: job.metadata.uid, attempt, model: 'demo' }
}
const free = (board: PoolBoard) => board.views()[0]?.slots

function withAttempt(job: GenerationJob, over: Partial<GenerationJobStatus['attempt']> = {}) {
  const attempt = { number: 1, pool: 'warm', podUID: uid, ...over }
  return { ...job, status: { ...job.status, attempt } }
}

describe('the free slots of a pool', () => {
  it('are unknown until the pod was asked', () => {
    const { board } = sceneOf()
    expect(free(board)).toEqual([])
    board.noteState(uid, aPodState([aSlot(), aSlot({ model: null })]))
    expect(free(board)).toEqual([
      { pod: uid, model: 'demo' },
      { pod: uid, model: null },
    ])
  })

  it.each([
    ['load', aSlot({ state: 'Loading', model: null })],
    ['have failed', aSlot({ state: 'Failed', model: null })],
    ['are busy', aSlot({ state: 'Busy', job: { uid: 'other', attempt: 1 } })],
  ])('are not those that %s', (_what, slot) => {
    expect(free(askedScene([slot]).board)).toEqual([])
  })

  it.each([
    ['is not ready', { conditions: [{ type: 'Ready', status: 'False' }], podIP: '127.9.9.9' }],
    ['has no address', { conditions: [{ type: 'Ready', status: 'True' }] }],
    ['has ended', { ...pod.status, phase: 'Failed' }],
  ])('are none of a pod that %s', (_what, status) => {
    expect(free(askedScene([aSlot()], { poolPods: [{ ...pod, status }] }).board)).toEqual([])
  })

  it('are none of a pod that is being deleted, drains, or belongs to somebody else', () => {
    const deleted = { ...pod, metadata: { ...pod.metadata, deletionTimestamp: at(1) } }
    expect(free(askedScene([aSlot()], { poolPods: [deleted] }).board)).toEqual([])
    const foreign = { ...pod, metadata: { ...pod.metadata, ownerReferences: [] } }
    expect(free(askedScene([aSlot()], { poolPods: [foreign] }).board)).toEqual([])
    const { board } = sceneOf()
    board.noteState(uid, { ...aPodState(), draining: true })
    expect(free(board)).toEqual([])
  })

  it('are none of a pod that is to go, said or written', () => {
    const { board } = askedScene()
    board.setLeaving(key, [uid])
    expect(free(board)).toEqual([])
    expect(board.assign(request(first))).toBe(false)
    board.setLeaving(key, [])
    expect(free(board)).toHaveLength(1)
    const marked = { ...pod.metadata.annotations, [annotations.podDeletionCost]: '-1' }
    const written = { ...pod, metadata: { ...pod.metadata, annotations: marked } }
    expect(free(askedScene([aSlot()], { poolPods: [written] }).board)).toEqual([])
  })
})

describe('a pod that was made before its pool was changed', () => {
  const lora = { ...aModel({ type: 'Lora' }), metadata: { ...aModel().metadata, name: 'lora' } }
  const unready = aCondition('Ready', 'False/InvalidDelivery')
  const fetched = aModel({ digest: `sha256:${'0'.repeat(64)}` })
  const withLora = aPool({ maxReplicas: 1, models: [{ name: 'demo' }, { name: 'lora' }] })

  it.each([
    { what: 'a LoRA was added', pool: withLora, models: [aModel(), lora], lacks: ['lora'] },
    {
      what: 'its Model was made anew',
      pool: aPool({ maxReplicas: 1 }),
      models: [fetched],
      lacks: ['demo'],
    },
  ])('says what it lacks, and another pod is to come: $what', ({ pool, models, lacks }) => {
    const { board } = askedScene([aSlot()], { modelPools: [pool], models })
    const slots = [{ pod: uid, model: 'demo', lacks }]
    expect(board.views()[0]).toMatchObject({ slots, growable: true, growing: false })
    expect(board.assign(request(first))).toBe(!lacks.includes('demo'))
  })

  it('gives no slot to a job that needs the LoRA that it lacks', () => {
    const { board } = askedScene([aSlot()], { modelPools: [withLora], models: [aModel(), lora] })
    expect(board.assign({ ...request(first), loras: ['other', 'lora'] })).toBe(false)
    expect(board.assign({ ...request(first), loras: ['other'] })).toBe(true)
  })

  it('is as good as others where nobody wrote down what it was made with', () => {
    const { [annotations.packs]: _marks, ...others } = pod.metadata.annotations ?? {}
    const unmarked = { ...pod, metadata: { ...pod.metadata, annotations: others } }
    const over = { modelPools: [withLora], models: [aModel(), lora], poolPods: [unmarked] }
    expect(free(askedScene([aSlot()], over).board)).toEqual([{ pod: uid, model: 'demo' }])
  })

  it.each([
    ['is missing', [aModel()]],
    ['is not ready', [aModel(), { ...lora, status: { conditions: [unready] } }]],
  ])('goes on while the Model that it lacks %s, because no job starts with that', (_w, models) => {
    const { board } = askedScene([aSlot()], { modelPools: [withLora], models })
    expect(free(board)).toHaveLength(1)
  })

  it('goes on when it has more than the pool offers now', () => {
    const marks = `${pod.metadata.annotations?.[annotations.packs]} lora=0123456789abcdef`
    const larger = { ...pod.metadata, annotations: { [annotations.packs]: marks } }
    const { board } = askedScene([aSlot()], { poolPods: [{ ...pod, metadata: larger }] })
    expect(free(board)).toHaveLength(1)
  })
})

describe('a slot', () => {
  it('is given once, and to the same attempt as often as it asks', () => {
    const { board } = askedScene()
    expect(board.assign(request(first))).toBe(true)
    expect(board.assign(request(first))).toBe(true)
    expect(board.assign(request(second))).toBe(false)
    expect(free(board)).toEqual([])
  })

  it('is the warm one first, then an empty one, whichever was chosen', () => {
    const slots = [aSlot({ model: 'other' }), aSlot({ model: null }), aSlot()]
    const { board } = askedScene(slots)
    board.assign({ ...request(first), instead: 'other' })
    expect(free(board)?.map(({ model }) => model)).toEqual(['other', null])
    board.assign({ ...request(second), instead: 'other' })
    expect(free(board)?.map(({ model }) => model)).toEqual(['other'])
  })

  it('is the one that was chosen for the job, and stays so until the pod has the job', () => {
    const slots = [aSlot({ model: 'large' }), aSlot({ model: 'other' })]
    const { board, cluster } = askedScene(slots)
    expect(board.assign({ ...request(first), instead: 'other' })).toBe(true)
    expect(free(board)).toEqual([{ pod: uid, model: 'large' }])
    cluster.jobs = [withAttempt(first), second]
    expect(free(board)).toEqual([{ pod: uid, model: 'large' }])
    const job = { uid: first.metadata.uid, attempt: 1 }
    const switching = aSlot({ model: 'other', state: 'Busy', job })
    board.noteState(uid, aPodState([aSlot({ model: 'large' }), switching]))
    expect(free(board)).toEqual([{ pod: uid, model: 'large' }])
    cluster.jobs = [withAttempt(first, { outcome: 'Completed' }), second]
    board.noteState(uid, aPodState([aSlot({ model: 'large' }), aSlot()]))
    expect(free(board)).toHaveLength(2)
  })

  it('stays taken whatever the pod said before it heard of the job', () => {
    const { board } = askedScene()
    board.assign(request(first))
    board.noteState(uid, aPodState())
    expect(free(board)).toEqual([])
  })

  it('is free when given back, also while pod and cache show the old state', () => {
    const { board, cluster } = askedScene()
    board.assign(request(first))
    cluster.jobs = [withAttempt(first), second]
    const job = { uid: first.metadata.uid, attempt: 1 }
    board.noteState(uid, aPodState([aSlot({ state: 'Busy', job })]))
    expect(free(board)).toEqual([])
    board.release({ ...job, pod: uid })
    board.release({ ...job, pod: uid })
    expect(free(board)).toEqual([{ pod: uid, model: 'demo' }])
    expect(board.assign(request(first))).toBe(true)
    expect(free(board)).toEqual([])
  })

  it('of a running attempt is known from the status after a restart', () => {
    const { board } = askedScene([aSlot()], { jobs: [withAttempt(first), second] })
    expect(free(board)).toEqual([])
    expect(board.podOf(uid)?.jobs).toHaveLength(1)
  })

  it('is free when the status says that the attempt has ended', () => {
    const jobs = [withAttempt(first, { outcome: 'Disrupted' }), second]
    expect(free(askedScene([aSlot()], { jobs }).board)).toHaveLength(1)
  })

  it.each([
    ['its job is deleted', []],
    ['a later attempt is written', [withAttempt(first, { number: 2, podUID: 'elsewhere' })]],
    [
      'its job has a verdict',
      [{ ...first, status: { conditions: [aCondition('Succeeded', 'True/Completed')] } }],
    ],
  ])('that was given away is free when %s', (_what, jobs) => {
    const { board, cluster } = askedScene()
    board.assign(request(first))
    cluster.jobs = jobs
    expect(free(board)).toHaveLength(1)
  })

  it('that was given away is free when no cache shows the attempt for too long', () => {
    const { board, time } = askedScene()
    board.assign(request(first))
    time.nowMs += UNSEEN_MAX_MS - 1
    expect(free(board)).toEqual([])
    time.nowMs += 1
    expect(free(board)).toHaveLength(1)
  })

  it('stays taken when another pod says that it has ended the attempt', () => {
    const { board } = askedScene()
    board.assign(request(first))
    board.release({ pod: 'another', uid: first.metadata.uid, attempt: 1 })
    expect(free(board)).toEqual([])
    expect(board.podOf(uid)?.jobs).toHaveLength(1)
  })

  it('of a pod that is gone is not given', () => {
    const { board, cluster } = askedScene()
    cluster.poolPods = []
    expect(board.assign(request(first))).toBe(false)
  })
})

describe('what a pod says of a job', () => {
  const busy = [aSlot({ state: 'Busy', job: { uid: first.metadata.uid, attempt: 1 } })]
  const elsewhere = { ...first, metadata: { ...first.metadata, namespace: 'assembly' } }
  const platform = aPoolPod('pool-warm-5d-x', 'atelier-jobs')
  const platformPool = aPool({}, 'atelier-jobs')

  it.each([
    ['of its own namespace', {}, 1],
    ['that nobody knows', { jobs: [] }, 1],
    ['of another namespace, as the platform’s', platformScene(), 1],
    ['of another namespace', { jobs: [elsewhere] }, 0],
    ['of a pool that is none', { modelPools: [] }, 0],
  ])('counts if it is one %s: %#', (_what, over, jobs) => {
    const { board } = askedScene(busy, over)
    expect(board.podOf(uid)?.jobs).toHaveLength(jobs)
    expect(free(board) ?? []).toEqual([])
  })

  function platformScene() {
    return { jobs: [elsewhere], modelPools: [platformPool], poolPods: [platform] }
  }
})

describe('how long a pod has been idle', () => {
  it('counts from when it was seen first, and anew from the end of its last job', () => {
    const { board, time } = askedScene()
    expect(board.podOf(uid)?.idleSinceMs).toBe(createdMs)
    time.nowMs += 5000
    board.assign(request(first))
    expect(board.podOf(uid)?.idleSinceMs).toBeUndefined()
    time.nowMs += 5000
    board.release({ pod: uid, uid: first.metadata.uid, attempt: 1 })
    expect(board.podOf(uid)?.idleSinceMs).toBe(createdMs + 10_000)
  })

  it.each([
    ['was never ready', { ...pod, status: { phase: 'Pending' } }],
    ['is ending', { ...pod, metadata: { ...pod.metadata, deletionTimestamp: at(1) } }],
  ])('is forgotten of one that %s: nobody hears when it is gone', (_what, other) => {
    const { board, cluster, time } = askedScene()
    cluster.poolPods = [other]
    board.noteState(uid, undefined)
    time.nowMs += 5000
    expect(board.podOf(uid)?.idleSinceMs).toBe(createdMs + 5000)
    time.nowMs += 5000
    expect(board.podOf(uid)?.idleSinceMs).toBe(createdMs + 10_000)
  })

  it('wakes its pool when it may be given up', () => {
    const { board, woken } = askedScene()
    board.assign(request(first))
    woken.length = 0
    board.release({ pod: uid, uid: first.metadata.uid, attempt: 1 })
    expect(woken).toEqual([[key, 60_000]])
  })

  it('does not matter for one that is to go: its pool is woken at once', () => {
    const { board, woken } = askedScene()
    board.assign(request(first))
    board.setLeaving(key, [uid])
    woken.length = 0
    board.release({ pod: uid, uid: first.metadata.uid, attempt: 1 })
    expect(woken).toEqual([[key, 0]])
  })
})

const demand = (waitingJobs: number) => new Map([[key, { waitingJobs, expectedSeconds: 5 }]])

describe('demand', () => {
  it('wakes a pool at once for its first job, and a little later for more', () => {
    const { board, woken } = sceneOf()
    board.setDemand(demand(1))
    board.setDemand(demand(3))
    board.setDemand(demand(2))
    expect(woken).toEqual([
      [key, 0],
      [key, 1000],
    ])
    expect(board.demandOf(key).waitingJobs).toBe(2)
    board.setDemand(new Map())
    expect(board.demandOf(key).waitingJobs).toBe(0)
  })

  it('wakes a pool when pods of it are to go, and when they need not any more', () => {
    const { board, woken } = sceneOf()
    const kept = { waitingJobs: 1, expectedSeconds: 0, room: 1 }
    board.setDemand(new Map([[key, { ...kept, yielding: [uid] }]]))
    board.setDemand(new Map([[key, { ...kept, yielding: [uid] }]]))
    board.setDemand(new Map([[key, { ...kept, yielding: [uid], room: 0 }]]))
    board.setDemand(new Map())
    expect(woken).toEqual([
      [key, 0],
      [key, 1000],
      [key, 0],
    ])
  })

  it('wakes a pool whose pods may wait for room no longer', () => {
    const { board, woken } = sceneOf()
    const kept = { waitingJobs: 0, expectedSeconds: 0, room: 1 }
    board.setDemand(new Map([[key, kept]]))
    board.setDemand(new Map([[key, { ...kept, mayWait: false }]]))
    board.setDemand(new Map([[key, { ...kept, mayWait: false, room: 2 }]]))
    expect(woken).toEqual([[key, 1000]])
  })

  it('wakes a pool for which jobs wait when there is other room', () => {
    const { board, woken } = sceneOf()
    const waiting = { waitingJobs: 1, expectedSeconds: 0 }
    board.setDemand(new Map([[key, { ...waiting, room: 0 }]]))
    board.setDemand(new Map([[key, waiting]]))
    expect(woken).toEqual([
      [key, 0],
      [key, 1000],
    ])
  })
})
