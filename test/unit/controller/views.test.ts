import { describe, expect, it } from 'vitest'
import { parseChildName } from '../../../src/controller/generation-job/names.ts'
import { viewAttempts } from '../../../src/controller/generation-job/views.ts'
import type { Pod } from '../../../src/platform/kube/resources.ts'
import { at, request, uid } from './builders.ts'
import { aKubeJob, aKubePod } from './kube-builders.ts'

function viewPod(status: Pod['status']) {
  const [attempt] = viewAttempts({ uid, jobs: [aKubeJob()], pods: [aKubePod({ status })] })
  return attempt?.pods[0]
}

function container(state: object): Pod['status'] {
  return {
    phase: 'Running',
    containerStatuses: [
      { name: 'inference', image: '', imageID: '', ready: false, restartCount: 0, state },
    ],
  }
}

/** The container waits for the one that fetches. */
function fetching(state: object): Pod['status'] {
  const fetch = { name: 'fetch', image: '', imageID: '', ready: false, restartCount: 0, state }
  return {
    ...container({ waiting: { reason: 'PodInitializing' } }),
    phase: 'Pending',
    initContainerStatuses: [fetch],
  }
}

describe('the attempts of a job', () => {
  it('are sorted by number, each with its pods', () => {
    const jobs = [aKubeJob({ number: 10 }), aKubeJob({ number: 2 })]
    const attempts = viewAttempts({ uid, jobs, pods: [aKubePod({ number: 2 })] })
    expect(attempts.map(({ number, pods }) => [number, pods.length])).toEqual([
      [2, 1],
      [10, 0],
    ])
    expect(attempts[0]?.job?.request).toEqual(request)
  })

  it('do not include a Job that only has the right name', () => {
    const jobs = [aKubeJob({ owner: 'somebody-else' })]
    expect(viewAttempts({ uid, jobs, pods: [] })).toEqual([])
  })

  it('do not include a pod of an older Job of the same name', () => {
    const pods = [aKubePod({ owner: 'older-job' })]
    expect(viewAttempts({ uid, jobs: [aKubeJob()], pods })[0]?.pods).toEqual([])
  })

  it('do not include a pod that belongs to nobody', () => {
    const pod = aKubePod()
    const orphan = { ...pod, metadata: { ...pod.metadata, ownerReferences: [] } }
    expect(viewAttempts({ uid, jobs: [], pods: [orphan] })).toEqual([])
  })

  it('include a pod that outlives its Job', () => {
    const [attempt] = viewAttempts({ uid, jobs: [], pods: [aKubePod()] })
    expect(attempt).toMatchObject({ number: 1, pods: [{ phase: 'Pending' }] })
    expect(attempt?.job).toBeUndefined()
  })

  it.each([
    ['Complete', 'True', true],
    ['Failed', 'True', true],
    ['Failed', 'False', false],
    ['Suspended', 'True', false],
  ])('are finished by the condition %s=%s: %s', (type, status, finished) => {
    const jobs = [aKubeJob({ status: { conditions: [{ type, status }] } })]
    expect(viewAttempts({ uid, jobs, pods: [] })[0]?.job?.finished).toBe(finished)
  })
})

describe('a pod', () => {
  it('that runs knows since when', () => {
    const pod = viewPod(container({ running: { startedAt: at(3) } }))
    expect(pod).toMatchObject({ phase: 'Running', startedTime: at(3), nodeName: 'node-1' })
    expect(pod?.exitCode).toBeUndefined()
  })

  it('that ended still knows when it started', () => {
    const terminated = { exitCode: 1, startedAt: at(3), finishedAt: at(9), reason: 'Error' }
    expect(viewPod(container({ terminated }))).toMatchObject({
      startedTime: at(3),
      exitCode: 1,
      outOfMemory: false,
    })
  })

  it('that ended before its container started knows of no start', () => {
    // As the API server shows a time that nobody gave.
    const terminated = { exitCode: 137, startedAt: null, finishedAt: null }
    const pod = viewPod(container({ terminated }))
    expect(pod?.exitCode).toBe(137)
    expect(pod?.startedTime).toBeUndefined()
  })

  it('that used too much memory is told from one that was killed', () => {
    const terminated = { exitCode: 137, reason: 'OOMKilled' }
    expect(viewPod(container({ terminated }))?.outOfMemory).toBe(true)
  })

  it('says what it waits for: its container, or else its Node', () => {
    const waiting = { reason: 'ErrImagePull', message: 'no such image' }
    expect(viewPod(container({ waiting }))?.waiting).toEqual(waiting)
    const unscheduled = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }
    expect(viewPod({ conditions: [unscheduled] })?.waiting).toEqual({
      reason: 'Unschedulable',
      message: '',
    })
    expect(viewPod({ conditions: [{ ...unscheduled, status: 'True' }] })?.waiting).toBeUndefined()
  })

  it('that fetches its packs says so, and why when it cannot', () => {
    const running = viewPod(fetching({ running: { startedAt: at(3) } }))
    expect(running).toMatchObject({ fetching: true })
    const { startedTime, exitCode, waiting: reason } = running ?? {}
    expect({ startedTime, exitCode, reason }).toEqual({})
    const waiting = { reason: 'ErrImagePull', message: 'no such image' }
    expect(viewPod(fetching({ waiting }))).toMatchObject({ fetching: false, waiting })
    const failed = viewPod(fetching({ terminated: { exitCode: 1, finishedAt: at(9) } }))
    expect(failed).toMatchObject({ fetching: true, exitCode: 1 })
    const done = viewPod(fetching({ terminated: { exitCode: 0, finishedAt: at(9) } }))
    expect([done?.fetching, done?.exitCode]).toEqual([false, undefined])
  })

  it.each([
    [{ conditions: [{ type: 'DisruptionTarget', status: 'True' }] }, true],
    [{ conditions: [{ type: 'DisruptionTarget', status: 'False' }] }, false],
    [{ reason: 'Evicted' }, true],
    [{ reason: 'NodeLost' }, true],
    [{ reason: 'SomethingElse' }, false],
    [{}, false],
  ])('is disrupted or not: %o → %s', (status, disrupted) => {
    expect(viewPod(status)?.disrupted).toBe(disrupted)
  })

  it('of an unheard-of phase is neither running nor ended', () => {
    expect(viewPod({ phase: 'Dreaming' })?.phase).toBe('Unknown')
    expect(viewPod(undefined)?.phase).toBe('Pending')
  })
})

describe('the name of a child', () => {
  it.each([
    [`gj-${uid}-a1`, { uid, attempt: 1 }],
    [`gj-${uid}-a12-x7k2p`, { uid, attempt: 12 }],
    [`gj-${uid}`, undefined],
    [`gj-${uid}-a`, undefined],
    [`gj-${uid}-a12345`, undefined],
    [`xx-${uid}-a1`, undefined],
    ['gj-short-a1', undefined],
  ])('%s', (name, parsed) => {
    expect(parseChildName(name)).toEqual(parsed)
  })
})
