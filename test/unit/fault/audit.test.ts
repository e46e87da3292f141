import { describe, expect, it } from 'vitest'
import { type Facts, type JobFacts, tallyOf } from '../../fault/nothing-lost/audit.ts'

const ended: JobFacts = {
  name: 'job',
  fate: 'Ended',
  verdicts: ['True/Completed'],
  resultSets: 1,
  holds: 1,
  endings: 1,
}

function countsOf(job: Partial<JobFacts>, facts: Partial<Facts> = {}): readonly number[] {
  const jobs = [{ ...ended, ...job }]
  const tally = tallyOf({ jobs, ledgerSum: 0, repeated: [], left: [], ...facts })
  return [tally.lost.length, tally.duplicated.length, tally.ledgerSum, tally.stuck.length]
}

describe('the audit of a fault scenario', () => {
  it('finds nothing where each job ended once, was paid for or not, and left nothing', () => {
    expect(countsOf({})).toEqual([0, 0, 0, 0])
    expect(countsOf({ verdicts: ['False/Cancelled'], resultSets: 0 })).toEqual([0, 0, 0, 0])
    expect(countsOf({ verdicts: [], resultSets: 0, holds: 0, endings: 0 })).toEqual([0, 0, 0, 0])
  })

  it.each([
    ['a job of which there is nothing', { fate: 'Missing' }],
    ['the results of a completed job', { resultSets: 0 }],
    ['the end of a hold', { endings: 0 }],
  ] as const)('counts %s as lost', (_, job) => {
    expect(countsOf(job)).toEqual([1, 0, 0, 0])
  })

  it.each([
    ['verdict', { verdicts: ['True/Completed', 'False/Cancelled'] }],
    ['result set', { resultSets: 2 }],
    ['hold', { holds: 2, endings: 2 }],
    ['settlement', { endings: 2 }],
  ] as const)('counts a second %s as duplicated', (_, job) => {
    expect(countsOf(job)).toEqual([0, 1, 0, 0])
  })

  it('counts what else was repeated, what is left, and what the ledger cannot explain', () => {
    expect(countsOf({ fate: 'Open', endings: 0 })).toEqual([0, 0, 0, 1])
    const facts = { repeated: ['two pods'], left: ['a pod', 'a Job'], ledgerSum: 7 }
    expect(countsOf({}, facts)).toEqual([0, 1, 7, 2])
  })
})
