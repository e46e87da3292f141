import { describe, expect, it, vi } from 'vitest'
import { REPLAN_MAX_MS, REPLAN_MS, UNSEEN_MAX_MS } from '../../../src/controller/limits.ts'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import { aReservedJob, boardOver, planned } from './board-scene.ts'
import { aCondition, aJob, at, createdMs, request, uid, withCondition } from './builders.ts'
import { aKubeJob, aKubeNode, aKubePod } from './kube-builders.ts'

const [first, second] = [aReservedJob('1'), aReservedJob('2')]
const admitted = { kind: 'Node', nodeName: 'node-1' }
const onNode = { number: 1, place: { kind: 'Node', request, nodeName: 'node-1' } } as const
const queued = { kind: 'Queued', cause: 'Turn' }

function withVerdict(job: GenerationJob, is: string): GenerationJob {
  return { ...job, status: withCondition(job.status ?? {}, aCondition('Succeeded', is)) }
}

describe('the admission board', () => {
  it('gives the one GPU to the first of two jobs', () => {
    const { board } = boardOver({ jobs: [second, first] })
    expect(board.placeOf(first)).toEqual(admitted)
    expect(board.placeOf(second)).toEqual(queued)
  })

  it('gives nothing to a job that has ended while it waited', () => {
    const ended = withVerdict(first, 'False/QueueTimeout')
    const { board } = boardOver({ jobs: [ended, second] })
    expect(board.placeOf(ended)).toEqual(queued)
    expect(board.placeOf(second)).toEqual(admitted)
  })

  it('counts what it gave away before any cache shows it', () => {
    const { board, cluster } = boardOver({ jobs: [second] })
    board.reserve(second, onNode)
    cluster.jobs.push(first)
    expect(board.placeOf(first)).toEqual(queued)
    expect(board.placeOf(second)).toEqual(admitted)
    expect(board.gpus()).toEqual({ total: 1, used: 1 })
  })

  it('takes over from the reservation when the cache shows the attempt, without a gap', () => {
    const { board, cluster } = boardOver({ jobs: [first, second] })
    const owned = { ...first, metadata: { ...first.metadata, uid } }
    cluster.jobs = [owned, second]
    board.reserve(owned, onNode)
    cluster.kubeJobs = [aKubeJob()]
    board.touch()
    expect(board.gpus().used).toBe(1)
    expect(board.placeOf(second)).toEqual(queued)
    board.stop()
  })

  it('forgets a reservation that never became an attempt', () => {
    const { board, time } = boardOver({ jobs: [first, second] })
    board.reserve(first, onNode)
    time.nowMs += UNSEEN_MAX_MS - 1
    expect(board.gpus().used).toBe(1)
    time.nowMs += 1
    expect(board.gpus().used).toBe(0)
  })

  it('wakes the job of such a reservation, whoever looked at the board meanwhile', async () => {
    const { board, time, woken } = boardOver({ jobs: [first, second] })
    board.reserve(first, onNode)
    board.standAside(first)
    time.nowMs += UNSEEN_MAX_MS
    board.gpus()
    await planned()
    expect(woken).toContain('vision/job-1')
    expect(board.placeOf(first)).toEqual(admitted)
    board.stop()
  })

  it('does not plan for minutes after it was kept from running for minutes', async () => {
    vi.useFakeTimers()
    const { board, time, woken } = boardOver({ jobs: [second] })
    const { nowMs } = time
    let reads = 0
    // The first plan seems to last ten minutes.
    Object.defineProperty(time, 'nowMs', { get: () => nowMs + (reads++ > 0 ? 600_000 : 0) })
    board.touch()
    await vi.advanceTimersByTimeAsync(REPLAN_MS)
    woken.length = 0
    board.placeOf(second)
    board.touch()
    board.noteNodes()
    await vi.advanceTimersByTimeAsync(REPLAN_MAX_MS)
    expect(board.placeOf(second)).toEqual(admitted)
    board.stop()
    vi.useRealTimers()
  })

  it('keeps it for as long as the job says that the attempt runs, however late its watch', () => {
    const { board, cluster, time } = boardOver({ jobs: [first, second] })
    board.reserve(first, onNode)
    const withAttempt = (attempt: NonNullable<GenerationJob['status']>['attempt']) => {
      cluster.jobs = [{ ...first, status: { ...first.status, attempt } }, second]
      return board.gpus().used
    }
    expect(withAttempt({ number: 1 })).toBe(1)
    time.nowMs += 3_600_000
    expect(withAttempt({ number: 1 })).toBe(1)
    expect(board.placeOf(second)).toEqual(queued)
    expect(withAttempt({ number: 1, outcome: 'Completed' })).toBe(0)
  })

  it('forgets it at once when the job says that the attempt is over', () => {
    const { board, cluster } = boardOver({ jobs: [first, second] })
    board.reserve(first, onNode)
    const attempt = { number: 1, outcome: 'Disrupted' } as const
    cluster.jobs = [{ ...first, status: { ...first.status, attempt } }, second]
    expect(board.gpus().used).toBe(0)
  })

  it('counts a job that its owner deletes under his caps until its pod has ended', async () => {
    const limits = { runningJobs: 1 }
    const mine = { owner: { department: 'vision', user: 'kim', limits } }
    const running = aJob({ spec: mine, status: { attempt: { number: 1 } } })
    const next = aReservedJob('2', mine)
    const seen = { kubeJobs: [aKubeJob()], pods: [aKubePod()], nodes: [aKubeNode({ gpus: 2 })] }
    const { board, cluster } = boardOver({ jobs: [running, next], ...seen })
    expect(board.placeOf(next)).toEqual(queued)
    cluster.jobs = [next]
    board.noteJob('vision/job')
    await planned()
    expect(board.placeOf(next)).toEqual(queued)
    cluster.pods = []
    cluster.kubeJobs = []
    board.touch()
    await planned()
    expect(board.placeOf(next)).toEqual(admitted)
  })

  it('knows after a restart of which department the pod of a deleted job is', () => {
    const pod = aKubePod()
    const labels = { 'atelier.dev/department': 'vision' }
    const pods = [{ ...pod, metadata: { ...pod.metadata, labels } }]
    const { board } = boardOver({ jobs: [second], pods })
    expect(board.admissionInput().running).toMatchObject([{ department: 'vision', gpus: 1 }])
  })

  it('lets others pass a job whose attempt could not be created, until it asks again', () => {
    const { board } = boardOver({ jobs: [first, second] })
    board.reserve(first, onNode)
    board.release(first)
    expect(board.placeOf(second)).toEqual(admitted)
    expect(board.placeOf(first)).toEqual(admitted)
    board.stop()
  })

  it('wakes the next job when a GPU becomes free, and only that one', async () => {
    const third = aReservedJob('3')
    const { board, cluster, woken } = boardOver({ jobs: [second, third], kubeJobs: [aKubeJob()] })
    expect(board.placeOf(second)).toEqual(queued)
    cluster.kubeJobs = []
    board.touch()
    board.touch()
    await planned()
    expect(woken).toEqual(['vision/job-2'])
  })

  it('counts the pod of a job that was deleted until it is gone', () => {
    const { board } = boardOver({ jobs: [second], pods: [aKubePod()] })
    expect(board.placeOf(second)).toEqual(queued)
  })

  it('frees the GPU as soon as the pod has ended, before its Job says so', () => {
    const pods = [aKubePod({ status: { phase: 'Succeeded' } })]
    const { board } = boardOver({ jobs: [second], kubeJobs: [aKubeJob()], pods })
    expect(board.placeOf(second)).toEqual(admitted)
  })

  it('lets nobody overtake an older job until the api answers about its hold', async () => {
    const job = aJob()
    const asking = { ...job, metadata: { ...job.metadata, creationTimestamp: at(-5) } }
    const { board, holds, woken } = boardOver({ jobs: [asking, second] })
    expect(board.placeOf(second)).toEqual(queued)
    const value = { state: 'Waiting', reason: 'HoldLimit', message: '', microCredits: 0 } as const
    holds.remember({ key: 'vision/job', uid }, { kind: 'Answered', value }, createdMs)
    board.noteJob('vision/job')
    await planned()
    expect(woken).toContain('vision/job-2')
    expect(board.placeOf(second)).toEqual(admitted)
  })

  it('lets others pass a job that cannot be understood, and says so', () => {
    const { modelRef: _, ...spec } = aJob().spec
    // What a schema of tomorrow may have stored.
    const poison = { ...first, spec } as unknown as GenerationJob
    const { board, errors } = boardOver({ jobs: [poison, second] })
    expect(board.placeOf(second)).toEqual(admitted)
    expect(errors).toHaveLength(1)
  })

  it('gives no place to a job that may not start', () => {
    const status = { ...first.status, retryTime: at(60), attempt: { number: 1 } }
    const others = [
      aReservedJob('4', { suspend: true }),
      aReservedJob('5', { cancel: true }),
      aReservedJob('6', { modelRef: { name: 'unknown' } }),
      { ...first, status },
    ]
    const { board } = boardOver({ jobs: others })
    expect(others.map((job) => board.placeOf(job))).toEqual([queued, queued, queued, queued])
  })

  it('considers a job again when its pause is over, although nothing else happened', () => {
    const status = { ...first.status, retryTime: at(60), attempt: { number: 1 } }
    const paused = { ...first, status }
    const { board, time } = boardOver({ jobs: [paused] })
    expect(board.placeOf(paused)).toEqual(queued)
    time.nowMs += 60_000
    expect(board.placeOf(paused)).toEqual(admitted)
  })

  it('keeps the limits of user and department', () => {
    const limits = { runningJobs: 1 }
    const jobs = [
      aReservedJob('1', { owner: { department: 'vision', user: 'kim', limits } }),
      aReservedJob('2', { owner: { department: 'vision', user: 'kim', limits } }),
      aReservedJob('3', { owner: { department: 'vision', user: 'lee' } }),
      aReservedJob('4', { owner: { department: 'vision', user: 'lee' } }),
    ]
    const metadata = {
      name: 'vision',
      uid: 'd',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: at(0),
    }
    const spec = {
      weight: 1,
      namespace: 'v',
      managedBy: 'api',
      limits: { runningJobsPerUser: 1 },
    } as const
    const department = { apiVersion: 'v1', kind: 'Department', metadata, spec }
    const { board } = boardOver({
      jobs,
      nodes: [aKubeNode({ gpus: 8 })],
      departments: [department],
    })
    expect(jobs.map((job) => board.placeOf(job))).toEqual([admitted, queued, admitted, queued])
  })
})

describe('a Node', () => {
  const tolerated = [
    { key: 'nvidia.com/gpu', effect: 'NoSchedule' },
    { key: 'atelier.dev/process-node', effect: 'NoSchedule' },
    { key: 'busy', effect: 'PreferNoSchedule' },
  ]
  it.each([
    [{}, admitted],
    [{ taints: tolerated }, admitted],
    [{ ready: 'False' }, queued],
    [{ ready: 'Unknown' }, queued],
    [{ unschedulable: true }, queued],
    [{ taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }] }, queued],
    [{ taints: [{ key: 'maintenance', effect: 'NoExecute' }] }, queued],
  ])('%o gives a place: %o', (options, place) => {
    const { board } = boardOver({ jobs: [first], nodes: [aKubeNode(options)] })
    expect(board.placeOf(first)).toEqual(place)
  })

  it('without GPUs serves on its CPU only when no Node has any', () => {
    const cpu = aKubeNode({ name: 'cpu', gpus: 0 })
    const down = aKubeNode({ gpus: 2, ready: 'False' })
    const onCpu = { kind: 'Node', nodeName: 'cpu' }
    expect(boardOver({ jobs: [first], nodes: [cpu] }).board.placeOf(first)).toEqual(onCpu)
    expect(boardOver({ jobs: [first], nodes: [cpu, down] }).board.placeOf(first)).toEqual(queued)
  })
})
