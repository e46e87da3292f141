import { describe, expect, it } from 'vitest'
import {
  aCondition,
  aJob,
  aModel,
  anAttempt,
  anAttemptWithoutPod,
  aPod,
  at,
  heldAnswer,
  runningStatus,
  withCondition,
} from './builders.ts'
import { decided } from './decided.ts'

const starting = withCondition(
  runningStatus({ attempt: { number: 1 }, startTime: undefined }),
  aCondition(
    'PodsReady',
    'False/Starting',
    'The pod of the current attempt is being created or scheduled.',
  ),
)

describe('a starting attempt', () => {
  it('writes nothing until its pod has a Node', () => {
    const pod = aPod({ phase: 'Pending', nodeName: undefined, startedTime: undefined })
    expect(decided({ job: aJob({ status: starting }), attempts: [anAttempt(pod)] }).kinds).toEqual(
      [],
    )
  })

  it('names its pod as soon as it is bound, because the api serves it only then', () => {
    const pod = aPod({ phase: 'Pending', startedTime: undefined })
    const { kinds, patch } = decided({
      job: aJob({ status: starting }),
      attempts: [anAttempt(pod)],
    })
    expect(kinds).toEqual(['WriteStatus'])
    expect(patch.attempt).toEqual({ podName: pod.name, podUID: 'pod-1', nodeName: 'node-1' })
  })

  it('says once that its pod fetches the model, and of how many bytes', () => {
    const fetch = { url: 'https://models.example/demo', sizeBytes: 6_940_000_000 }
    const model = aModel({ delivery: { type: 'Fetch', fetch } })
    const pod = aPod({ phase: 'Pending', startedTime: undefined, fetching: true })
    const before = decided({ job: aJob({ status: starting }), model, attempts: [anAttempt(pod)] })
    expect(before.conditions).toMatchObject({
      ModelReady: 'False/ModelLoading',
      PodsReady: 'False/Starting',
    })
    expect(before.messageOf('ModelReady')).toContain('Model demo (6.9 GB)')

    const status = { ...starting, ...before.patch, attempt: before.patch.attempt }
    const job = aJob({ status: { ...status, attempt: { number: 1, ...status.attempt } } })
    expect(decided({ job, model, attempts: [anAttempt(pod)] }).kinds).toEqual([])
    const running = decided({ job, model, attempts: [anAttempt()] })
    expect(running.conditions).toMatchObject({
      ModelReady: 'True/Ready',
      PodsReady: 'True/Running',
    })
  })

  it('notes when its container starts, and tells so', () => {
    const { patch, conditions, events } = decided({
      job: aJob({ status: starting }),
      attempts: [anAttempt()],
    })
    expect(patch.attempt).toMatchObject({ startTime: at(10) })
    expect(patch.startTime).toBe(at(10))
    expect(conditions['PodsReady']).toBe('True/Running')
    expect(events).toEqual(['Started'])
  })

  it('is adopted when a crash kept it out of the status', () => {
    const { kinds, patch, conditions } = decided({
      job: aJob(),
      hold: heldAnswer,
      attempts: [anAttemptWithoutPod()],
      place: { kind: 'Node' },
    })
    expect(kinds).toEqual(['WriteStatus'])
    expect(patch.attempt).toEqual({ number: 1 })
    expect(conditions).toMatchObject({ Admitted: 'True/Admitted', PodsReady: 'False/Starting' })
  })

  it('had ready models, whatever was written before a crash', () => {
    const status = withCondition(starting, aCondition('ModelReady', 'False/ModelNotReady'))
    const { conditions } = decided({ job: aJob({ status }), attempts: [anAttempt()] })
    expect(conditions['ModelReady']).toBe('True/Ready')
  })

  it('is adopted as the next number, and ends the pause that is still written down', () => {
    const status = runningStatus({ retryTime: at(15), failedAttempts: 1 })
    const attempts = [anAttempt(aPod({ phase: 'Failed' })), anAttemptWithoutPod({ number: 2 })]
    const { kinds, patch } = decided({ job: aJob({ status }), attempts })
    expect(kinds).toEqual(['WriteStatus'])
    expect(patch.attempt).toMatchObject({ number: 2, podUID: null })
    expect(patch['retryTime']).toBeNull()
  })

  it('is adopted with its pod, whose pause before it is over', () => {
    const status = runningStatus({ retryTime: at(15), failedAttempts: 1 })
    const pod = aPod({ uid: 'pod-2', startedTime: at(18) })
    const { patch } = decided({ job: aJob({ status }), attempts: [anAttempt(pod, { number: 2 })] })
    expect(patch.attempt).toMatchObject({ number: 2, podUID: 'pod-2' })
    expect(patch['retryTime']).toBeNull()
  })

  it('is not taken for suspended because the one before it was', () => {
    const status = withCondition(
      runningStatus({ retryTime: at(15) }),
      aCondition('Admitted', 'False/Suspended'),
    )
    const { conditions } = decided({
      job: aJob({ status }),
      attempts: [anAttemptWithoutPod({ number: 2 })],
    })
    expect(conditions['Admitted']).toBe('True/Admitted')
  })

  it('keeps the first start time of the job when a later attempt starts', () => {
    const status = runningStatus({ attempt: { number: 2 } })
    const pod = aPod({ uid: 'pod-2', startedTime: at(50) })
    const { patch } = decided({
      job: aJob({ status }),
      attempts: [anAttempt(pod, { number: 2 })],
      after: 60,
    })
    expect(patch.attempt).toMatchObject({ podUID: 'pod-2', startTime: at(50) })
    expect(patch).not.toHaveProperty('startTime')
  })
})

describe('a pod that does not get going', () => {
  const waiting = { reason: 'ErrImagePull', message: 'no such image' }
  const pod = aPod({ phase: 'Pending', startedTime: undefined, waiting })

  it('may take its time first', () => {
    const { conditions } = decided({ attempts: [anAttempt(pod)], after: 30 })
    expect(conditions['PodsReady']).toBe('False/Starting')
    expect(decided({ attempts: [anAttempt(pod)], after: 30 }).recheckAfterMs).toBe(1000)
  })

  it('says why after a while', () => {
    const { messageOf } = decided({ attempts: [anAttempt(pod)], after: 31 })
    expect(messageOf('PodsReady')).toBe(`Pod ${pod.name} waits: ErrImagePull. no such image`)
  })

  it('is not written again when the words alternate or change', () => {
    const { patch } = decided({ attempts: [anAttempt(pod)], after: 31 })
    const other = { reason: 'ImagePullBackOff', message: 'back-off 20s' }
    const job = aJob({
      status: {
        ...patch,
        attempt: { number: 1, podName: pod.name, podUID: pod.uid, nodeName: 'node-1' },
      },
    })
    const again = decided({ job, attempts: [anAttempt({ ...pod, waiting: other })], after: 60 })
    expect(again.kinds).toEqual([])
  })

  it('that was never made points to the Job', () => {
    const { messageOf } = decided({ attempts: [anAttemptWithoutPod()], after: 40 })
    expect(messageOf('PodsReady')).toContain('Kubernetes has made no pod.')
  })
})

describe('a running attempt', () => {
  it('needs nothing, and is looked at again at its deadline', () => {
    const job = aJob({ status: runningStatus(), spec: { activeDeadlineSeconds: 100 } })
    const { kinds, recheckAfterMs } = decided({ job, attempts: [anAttempt()], after: 32 })
    expect(kinds).toEqual([])
    expect(recheckAfterMs).toBe(78_000)
  })

  it('is ended when the job is suspended, once', () => {
    const job = aJob({ status: runningStatus(), spec: { suspend: true } })
    const { kinds, conditions } = decided({ job, attempts: [anAttempt()] })
    expect(kinds).toEqual(['WriteStatus', 'DeleteAttempt'])
    expect(conditions['Admitted']).toBe('False/Suspended')
    const deleting = decided({ job, attempts: [anAttempt(aPod(), { deleting: true })] })
    expect(deleting.kinds).toEqual(['WriteStatus'])
  })

  it('does not change its pod for one that turned up later', () => {
    const intruder = aPod({
      uid: 'pod-9',
      name: `gj-${'x'.repeat(36)}-a1-zzzzz`,
      createdTime: at(0),
    })
    const attempt = anAttempt()
    const both = { ...attempt, pods: [intruder, ...attempt.pods] }
    const job = aJob({ status: runningStatus() })
    expect(decided({ job, attempts: [both] }).kinds).toEqual([])
  })

  it('tells that a spec change was seen', () => {
    const job = aJob({ status: runningStatus() })
    const edited = { ...job, metadata: { ...job.metadata, generation: 2 } }
    const { patch } = decided({ job: edited, attempts: [anAttempt()] })
    expect(patch.observedGeneration).toBe(2)
    expect(patch.conditions?.map((each) => each.observedGeneration)).toEqual([2, 2, 2, 2, 2])
  })
})
