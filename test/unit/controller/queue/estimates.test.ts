import { describe, expect, it } from 'vitest'
import type { EstimateVerdict } from '../../../../src/controller/queue/estimate-verdict.ts'
import { judgeEstimate } from '../../../../src/controller/queue/estimate-verdict.ts'
import { GivenEstimates } from '../../../../src/controller/queue/given-estimates.ts'
import { aJob, at, createdMs, uid } from '../builders.ts'

const second = 1000

describe('an estimate', () => {
  it.each([
    ['that was exact', 100, 100, 'right', 1],
    ['half of the wait too early', 100, 150, 'right', 1.5],
    ['a little more than that', 100, 151, 'late', 1.51],
    ['half of the wait too late', 100, 50, 'right', 0.5],
    ['a little more than that', 100, 49, 'early', 0.49],
    ['of a short wait, within 10 s', 2, 12, 'right', 6],
    ['of a short wait, beyond 10 s', 2, 13, 'late', 6.5],
    ['of a job that had started when it was told', 5, -3, 'right', 0],
  ])('%s: told %d s, came after %d s', (...[, told, came, verdict, ratio]) => {
    const given = { givenMs: 1e6, startMs: 1e6 + told * second }
    expect(judgeEstimate(given, 1e6 + came * second)).toEqual({ verdict, ratio })
  })

  it('of less than a second has no ratio', () => {
    expect(judgeEstimate({ givenMs: 0, startMs: 999 }, 5000)).toEqual({ verdict: 'right' })
  })
})

function openGiven() {
  const judged: EstimateVerdict[] = []
  const given = new GivenEstimates((verdict) => judged.push(verdict))
  return { given, judged }
}

const told = (seconds: number) => ({ givenMs: createdMs, startMs: createdMs + seconds * second })
const started = aJob({ status: { startTime: at(30) } })

describe('estimates that somebody was given', () => {
  it('are judged once, when the job starts, and the first one counts', () => {
    const { given, judged } = openGiven()
    given.note('a', uid, told(60))
    given.note('a', uid, told(31))
    given.see('a', aJob())
    given.see('a', started)
    given.see('a', started)
    expect(judged).toEqual([{ verdict: 'right', ratio: 0.5 }])
  })

  it('say nothing of a job that ends without a start, is gone, or is another by that name', () => {
    const { given, judged } = openGiven()
    const other = { ...started, metadata: { ...started.metadata, uid: 'other' } }
    for (const job of [aJob({ status: { completionTime: at(9) } }), undefined, other]) {
      given.note('a', uid, told(60))
      given.see('a', job)
      given.see('a', started)
    }
    expect(judged).toEqual([])
  })

  it('of the oldest job are forgotten when there are too many', () => {
    const { given, judged } = openGiven()
    for (let index = 0; index <= 10_000; index += 1) given.note(`j-${index}`, uid, told(60))
    for (const key of ['j-0', 'j-1', 'j-10000']) given.see(key, started)
    expect(judged).toHaveLength(2)
  })
})
