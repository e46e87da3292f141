import { describe, expect, it } from 'vitest'
import type { Settlement } from '../../../src/shared/wire/internal.ts'
import {
  aCondition,
  aJob,
  anAttempt,
  anEndedPod,
  at,
  runningStatus,
  unreachable,
  withCondition,
} from './builders.ts'
import { decided } from './decided.ts'

const status = withCondition(
  runningStatus({ completionTime: at(100) }),
  aCondition('Succeeded', 'True/Completed'),
)
const spec = { ttlSecondsAfterFinished: 60 }
const job = aJob({ status, spec })

function settled(state: Settlement['state']) {
  return { kind: 'Answered', value: { state } } as const
}

describe('an ended job', () => {
  it('stays as it is until its time to live is over', () => {
    expect(decided({ job, after: 110 })).toMatchObject({ kinds: [], recheckAfterMs: 50_000 })
  })

  it('is deleted then, once it is settled', () => {
    for (const state of ['Settled', 'Voided', 'Expired'] as const) {
      expect(decided({ job, settlement: settled(state), after: 160 }).kinds).toEqual(['DeleteJob'])
    }
  })

  it('is kept while it is not settled, or nobody knows', () => {
    const unsettled = [settled('Open'), settled('Unknown'), unreachable, undefined]
    for (const settlement of unsettled) {
      const { kinds, recheckAfterMs } = decided({ job, settlement, after: 160 })
      expect(kinds).toEqual([])
      expect(recheckAfterMs).toBe(5000)
    }
  })

  it('is asked for less often the longer it takes', () => {
    const settlement = settled('Open')
    expect(decided({ job, settlement, after: 190 }).recheckAfterMs).toBe(30_000)
    expect(decided({ job, settlement, after: 9000 }).recheckAfterMs).toBe(60_000)
  })

  it('that never had a hold is deleted although the api does not know one', () => {
    const unpaid = withCondition(status, aCondition('CreditsReserved', 'False/Ended'))
    const { kinds } = decided({
      job: aJob({ status: unpaid, spec }),
      settlement: settled('Unknown'),
      after: 160,
    })
    expect(kinds).toEqual(['DeleteJob'])
  })

  it('never runs again, whatever its spec or its model say by now', () => {
    const failedStatus = withCondition(status, aCondition('Succeeded', 'False/Cancelled'))
    const place = { kind: 'Node' } as const
    const edited = aJob({ status: failedStatus, spec: { cancel: false } })
    expect(decided({ job: edited, place, after: 110 }).kinds).toEqual([])
  })

  it('notes that a later change of its spec was seen, and changes nothing else', () => {
    const edited = { ...job, metadata: { ...job.metadata, generation: 3 } }
    expect(decided({ job: edited, after: 110 }).patch).toEqual({ observedGeneration: 3 })
  })

  it('stops an attempt that still runs', () => {
    const stray = anAttempt(undefined, { number: 2 })
    const { actions } = decided({ job, attempts: [anAttempt(anEndedPod(0)), stray], after: 110 })
    expect(actions).toEqual([{ kind: 'DeleteAttempt', name: stray.job?.name, uid: 'job-2' }])
  })

  it('looks again within the hour, because long timers do not exist', () => {
    const longSpec = { ttlSecondsAfterFinished: 31_536_000 }
    expect(decided({ job: aJob({ status, spec: longSpec }) }).recheckAfterMs).toBe(3_600_000)
  })
})
