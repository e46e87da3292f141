import { describe, expect, it } from 'vitest'
import { admit } from '../../../src/shared/domain/admission/admit.ts'
import { whyWaiting } from '../../../src/shared/domain/admission/explain.ts'
import { forecast } from '../../../src/shared/domain/admission/forecast.ts'
import { applied } from './apply.ts'
import { aCandidate, aNode, anInput, aRequest, aRunning, hourMs, startsOf } from './builders.ts'

const quota = { execution: 'Quota', pools: [] } as const

const second = () => 1000
const never = () => Infinity

describe('jobs whose place somebody else’s quota decides', () => {
  it('go on at once, however full or small the Nodes are', () => {
    const jobs = [
      aCandidate('a', quota),
      aCandidate('b', quota),
      aCandidate('c', { ...quota, request: aRequest(99) }),
    ]
    const input = anInput({ nodes: [aNode('one', 0)], jobs })
    expect(startsOf(admit(input))).toEqual(['a to its quota', 'b to its quota', 'c to its quota'])
  })

  it('leave what is free to the others, also while they wait for the quota', () => {
    const jobs = [
      aCandidate('a', { ...quota, priority: 90 }),
      aCandidate('b', { request: aRequest(2) }),
    ]
    const input = anInput({ jobs })
    const admission = admit(input)
    expect(startsOf(admission)).toEqual(['a to its quota', 'b on one'])
    const more = anInput({
      jobs: [aCandidate('c')],
      running: applied(input, admission).running.slice(0, 1),
    })
    expect(startsOf(admit(more))).toEqual(['c on one'])
  })

  it('count under the caps of their department, and keep to them', () => {
    const jobs = [aCandidate('a', quota), aCandidate('b', quota), aCandidate('c')]
    const departments = new Map([['vision', { weight: 100, runningJobs: 2 }]])
    const input = anInput({ jobs, departments })
    const admission = admit(input)
    expect(startsOf(admission)).toEqual(['a to its quota', 'b to its quota'])
    expect(whyWaiting(applied(input, admission), 'c')?.reason).toBe('DepartmentLimit')
  })

  it('wait at the cap of their user, and say so', () => {
    const departments = new Map([['vision', { weight: 100, runningJobsPerUser: 1 }]])
    const input = anInput({ jobs: [aCandidate('a', quota)], running: [aRunning('r')], departments })
    expect(admit(input).starts).toEqual([])
    expect(whyWaiting(input, 'a')).toMatchObject({ reason: 'UserLimit', position: 1 })
  })

  it('do not make the share of their department larger before they use anything', () => {
    const waiting = aRunning('r', { department: 'vision', gpus: 0, place: { kind: 'Quota' } })
    const jobs = [
      aCandidate('b', { department: 'vision' }),
      aCandidate('c', { department: 'wafer' }),
    ]
    const input = anInput({ nodes: [aNode('one', 1)], running: [waiting], jobs })
    expect(startsOf(admit(input))).toEqual(['b on one'])
  })

  it('have no forecast, and keep nobody else from having one', () => {
    const jobs = [aCandidate('a', quota), aCandidate('b')]
    const options = {
      runMs: second,
      endMs: never,
      uids: ['a', 'b'],
      horizonMs: hourMs,
      stepsMax: 9,
    }
    const found = forecast(anInput({ jobs }), options)
    expect(found.get('a')).toBe('Unknown')
    expect(found.get('b')).toMatchObject({ basis: 'Planned' })
  })

  it('are not extrapolated either when the steps run out', () => {
    const departments = new Map([['vision', { weight: 100, runningJobs: 1 }]])
    const jobs = [aCandidate('a'), aCandidate('b', { ...quota, priority: 0 })]
    const options = { runMs: second, endMs: never, uids: ['b'], horizonMs: hourMs }
    const found = forecast(anInput({ jobs, departments }), { ...options, stepsMax: 1 })
    expect(found.get('b')).toBe('Unknown')
  })
})
