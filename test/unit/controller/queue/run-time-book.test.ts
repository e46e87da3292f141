import { describe, expect, it } from 'vitest'
import { RunTimeBook } from '../../../../src/controller/run-times/run-time-book.ts'
import { openWorkOf, type WorkOf } from '../../../../src/controller/run-times/work-of.ts'
import type {
  GenerationJob,
  GenerationJobStatus,
} from '../../../../src/shared/crd/generation-job.ts'
import { runSecondsOf, startSecondsOf } from '../../../../src/shared/domain/admission/run-times.ts'
import { aCondition, aJob, aModel, at } from '../builders.ts'

const tenMegapixelSteps: WorkOf = () => 10
const admitted = { ...aCondition('Admitted', 'True/Admitted'), lastTransitionTime: at(2) }
const running: GenerationJobStatus = {
  conditions: [admitted],
  attempt: { number: 1, startTime: at(5) },
}

function completed(seconds: number, over: Partial<GenerationJobStatus> = {}): GenerationJobStatus {
  return {
    ...running,
    attempt: { number: 1, startTime: at(5), outcome: 'Completed' },
    completionTime: at(5 + seconds),
    ...over,
  }
}

const secondsIn = (book: RunTimeBook, kind: 'Node' | 'Slot' = 'Node') =>
  runSecondsOf(book.times, { model: 'demo', kind, work: 10 })

/** One that ran for so long, until so many seconds after its creation. */
function ended(seconds: number, completedAt: number): GenerationJob {
  const attempt = { number: 1, startTime: at(completedAt - seconds), outcome: 'Completed' } as const
  return aJob({ status: completed(0, { attempt, completionTime: at(completedAt) }) })
}

describe('run times', () => {
  it('are learned from a job that completes, once', () => {
    const book = new RunTimeBook(tenMegapixelSteps)
    book.note('a', aJob({ status: running }))
    expect(secondsIn(book)).toBeUndefined()
    book.note('a', aJob({ status: completed(8) }))
    expect(secondsIn(book)).toBe(8)
    const { times } = book
    book.note('a', aJob({ status: completed(8) }))
    expect(book.times).toBe(times)
  })

  it('are learned anew from another job of the same name', () => {
    const book = new RunTimeBook(tenMegapixelSteps)
    const job = aJob({ status: completed(8) })
    book.note('a', job)
    const { times } = book
    book.note('a', { ...job, metadata: { ...job.metadata, uid: 'another' } })
    expect(book.times).not.toBe(times)
    book.note('a', undefined)
    book.note('a', job)
    expect(secondsIn(book)).toBeCloseTo(8, 9)
  })

  it.each([
    ['Cancelled', { number: 1, startTime: at(5), outcome: 'Cancelled' }],
    ['Failed', { number: 1, startTime: at(5), outcome: 'Failed' }],
    ['without a start', { number: 1, outcome: 'Completed' }],
    ['without an outcome', { number: 1, startTime: at(5) }],
  ] as const)('are not learned from an attempt that ended %s', (_, attempt) => {
    const book = new RunTimeBook(tenMegapixelSteps)
    book.note('a', aJob({ status: completed(8, { attempt }) }))
    expect(secondsIn(book)).toBeUndefined()
  })

  it('are not learned from a job whose work nobody knows', () => {
    const book = new RunTimeBook(() => undefined)
    book.note('a', aJob({ status: completed(8) }))
    expect(secondsIn(book)).toBeUndefined()
  })

  it('tell slots from pods', () => {
    const book = new RunTimeBook(tenMegapixelSteps)
    const attempt = { ...completed(2).attempt, number: 1, pool: 'warm' }
    book.note('a', aJob({ status: completed(2, { attempt }) }))
    book.note('b', aJob({ status: completed(9) }))
    expect([secondsIn(book, 'Slot'), secondsIn(book, 'Node')]).toEqual([2, 9])
  })

  it('are learned after a restart, the newest at last', () => {
    const newest = Array.from({ length: 20 }, (_, index) => ended(100, 500 + index))
    const oldest = Array.from({ length: 20 }, (_, index) => ended(10, 200 + index))
    const book = new RunTimeBook(tenMegapixelSteps)
    book.learn([...newest, ...oldest].map((one, index) => [`j-${index}`, one]))
    expect(secondsIn(book)).toBeGreaterThan(70)
  })
})

const startIn = ({ times }: RunTimeBook) => startSecondsOf(times, { model: 'demo', kind: 'Node' })

describe('the time until a pod runs', () => {
  it('is learned from the first attempt, when it starts', () => {
    const book = new RunTimeBook(tenMegapixelSteps)
    book.note('a', aJob({ status: { conditions: [admitted], attempt: { number: 1 } } }))
    expect(startIn(book)).toBeUndefined()
    book.note('a', aJob({ status: running }))
    expect(startIn(book)).toBe(3)
  })

  it.each([
    ['a later attempt', { ...running, attempt: { number: 2, startTime: at(5) } }],
    ['a slot', { ...running, attempt: { number: 1, startTime: at(5), pool: 'warm' } }],
    ['a job that has ended', { ...running, conditions: [aCondition('Admitted', 'False/Ended')] }],
  ])('is not learned from %s', (_, status) => {
    const book = new RunTimeBook(tenMegapixelSteps)
    book.note('a', aJob({ status }))
    expect(startIn(book)).toBeUndefined()
  })
})

describe('the work of a job', () => {
  const sizes = { min: 64, max: 512, multipleOf: 8 }
  const model = aModel({ sizes: { width: sizes, height: sizes } })
  const workOf = openWorkOf({
    models: {
      get: (name) => (name === 'demo' ? model : undefined),
      list: () => [],
      listIndexed: () => [],
    },
  })

  it('is pixels × model calls over all pictures, in millions', () => {
    const parameters = { prompt: 'x', width: 500, height: 400, steps: 10, batchCount: 3 }
    const euler = { ...parameters, width: 504, scheduler: 'Euler' }
    expect(workOf(aJob({ spec: { parameters: euler } }))).toBeCloseTo((504 * 400 * 10 * 3) / 1e6, 9)
  })

  it('of absent parameters is that of the defaults', () => {
    const work = workOf(aJob({ spec: { parameters: { prompt: 'x', scheduler: 'Euler' } } }))
    expect(work).toBeCloseTo((512 * 512 * 20) / 1e6, 9)
  })

  it.each([
    ['whose Model is missing', { modelRef: { name: 'gone' } }],
    ['that can never run', { parameters: { prompt: 'x', width: 8 } }],
  ])('is not known of one %s', (_, spec) => {
    expect(workOf(aJob({ spec }))).toBeUndefined()
  })
})
