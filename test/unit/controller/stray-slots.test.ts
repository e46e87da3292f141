import { describe, expect, it } from 'vitest'
import { StraySlots } from '../../../src/controller/generation-job/stray-slots.ts'
import { PoolBoard } from '../../../src/controller/model-pool/pool-board.ts'
import type { GenerationJob, GenerationJobStatus } from '../../../src/shared/crd/generation-job.ts'
import { aPodState, aPool, aPoolPod, aReservedJob, aSlot, cachesOver } from './board-scene.ts'
import { aCondition, createdMs } from './builders.ts'

const pod = aPoolPod()
const { uid: podUID } = pod.metadata
const job = aReservedJob('1')
const { uid } = job.metadata

function withAttempt(attempt: GenerationJobStatus['attempt']): GenerationJob {
  return { ...job, status: { ...job.status, attempt } }
}

const ended: GenerationJob = {
  ...job,
  status: { conditions: [aCondition('Succeeded', 'True/Completed')] },
}

/** A pod that says that it runs attempt 2 of the job. */
function strays(jobs: GenerationJob[]) {
  const { caches, cluster } = cachesOver({ jobs, modelPools: [aPool()], poolPods: [pod] })
  const time = { nowMs: createdMs }
  const clock = { nowMs: () => time.nowMs }
  const pools = new PoolBoard({
    caches,
    clock,
    allowCpu: true,
    wake: () => undefined,
    onChange: () => undefined,
  })
  pools.noteState(podUID, aPodState([aSlot({ state: 'Busy', job: { uid, attempt: 2 } })]))
  return { found: new StraySlots({ caches, pools, clock }), time, cluster, pools }
}

describe('an attempt in a slot', () => {
  it.each([
    ['whose job is gone', []],
    ['of an older number', [withAttempt({ number: 3, podUID: 'another' })]],
    ['that has ended in its status', [withAttempt({ number: 2, podUID, outcome: 'Disrupted' })]],
    ['that another pod has', [withAttempt({ number: 2, podUID: 'another' })]],
    ['of a job that has ended', [ended]],
  ])('is a stray, %s, once it has been one for a minute', (_, jobs) => {
    const { found, time } = strays(jobs)
    expect(found.find()).toEqual([])
    time.nowMs += 59_999
    expect(found.find()).toEqual([])
    time.nowMs += 1
    expect(found.find()).toMatchObject([{ uid, attempt: 2, podUID, runner: 'runner-1' }])
  })

  it.each([
    ['is its job’s own', [withAttempt({ number: 2, podUID })]],
    ['is not in the status that the cache shows', [withAttempt({ number: 1, podUID: 'another' })]],
    ['is the first of a job without any', [job]],
  ])('is none when it %s', (_, jobs) => {
    const { found, time } = strays(jobs)
    found.find()
    time.nowMs += 3_600_000
    expect(found.find()).toEqual([])
  })

  it('is one of the pod that has it wrongly only, and since it has', () => {
    const { found, time, cluster, pools } = strays([])
    found.find()
    const other = aPoolPod('pool-warm-5d-y')
    cluster.poolPods = [pod, other]
    pools.noteState(other.metadata.uid, aPodState([aSlot({ job: { uid, attempt: 2 } })]))
    time.nowMs += 60_000
    expect(found.find()).toMatchObject([{ podUID }])
    cluster.jobs = [withAttempt({ number: 2, podUID })]
    time.nowMs += 60_000
    expect(found.find()).toMatchObject([{ podUID: other.metadata.uid }])
  })

  it('is none any more when its job turns up, or the pod has ended it', () => {
    const { found, time, cluster, pools } = strays([])
    found.find()
    time.nowMs += 60_000
    cluster.jobs = [withAttempt({ number: 2, podUID })]
    expect(found.find()).toEqual([])
    cluster.jobs = []
    expect(found.find()).toEqual([])
    time.nowMs += 60_000
    pools.noteState(podUID, aPodState())
    expect(found.find()).toEqual([])
  })
})
