import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ownerKey } from '../../../src/shared/domain/admission/owner.ts'
import {
  type Candidate,
  compareJobs,
  JobQueue,
} from '../../../src/shared/domain/admission/queue.ts'
import { longTests } from '../../support/long.ts'
import { candidates } from './arbitrary-input.ts'
import { aCandidate, nowMs, queueOf } from './builders.ts'

const runs = { numRuns: longTests ? 1000 : 100 }

/** Everything a queue tells, in an order of its own. */
function contentsOf(queue: JobQueue) {
  const lines = [...queue.lines()].map(({ key, size, department, user, shapes }) => {
    return { key, size, department, user, shapes: shapes.map(({ jobs }) => [...jobs]) }
  })
  return {
    size: queue.size,
    lines: lines.toSorted((left, right) => (left.key < right.key ? -1 : 1)),
  }
}

function uidsOf(queue: JobQueue): string[] {
  return [...queue.lines()]
    .flatMap(({ shapes }) => shapes.flatMap(({ jobs }) => jobs))
    .map(({ uid }) => uid)
}

describe('a queue of jobs', () => {
  it('is empty at first', () => {
    expect(contentsOf(new JobQueue())).toEqual({ size: 0, lines: [] })
  })

  it('keeps the jobs of one owner in order and those that are alike together', () => {
    const queue = queueOf([
      aCandidate('c', { createdMs: nowMs + 1 }),
      aCandidate('b'),
      aCandidate('l', { gpus: 2, createdMs: nowMs - 1 }),
      aCandidate('z', { priority: 60 }),
    ])
    const shapes = [...queue.lines()].flatMap((line) => line.shapes)
    expect(shapes.map(({ jobs }) => jobs.map(({ uid }) => uid))).toEqual([['z', 'b', 'c'], ['l']])
  })

  it('replaces a job by its uid, also when it changes its owner, place or shape', () => {
    const queue = queueOf([aCandidate('a'), aCandidate('b')])
    queue.put(aCandidate('a', { priority: 1 }))
    expect(queue.positionOf('a')).toBe(2)
    queue.put(aCandidate('a', { gpus: 4, user: 'lee' }))
    expect(contentsOf(queue)).toEqual(
      contentsOf(queueOf([aCandidate('b'), aCandidate('a', { gpus: 4, user: 'lee' })])),
    )
  })

  it('forgets a job once, and an owner with his last one', () => {
    const queue = queueOf([aCandidate('a')])
    expect(queue.remove('a')).toBe(true)
    expect(queue.remove('a')).toBe(false)
    expect(queue.remove('never there')).toBe(false)
    expect(contentsOf(queue)).toEqual({ size: 0, lines: [] })
    expect(queue.get('a')).toBeUndefined()
    expect(queue.lineOf(aCandidate('a'))).toBeUndefined()
  })

  it('has no position for a job that does not wait', () => {
    expect(queueOf([aCandidate('a')]).positionOf('b')).toBeUndefined()
  })

  it.each([
    { what: 'takes LoRAs', one: { pools: ['x'], loras: ['ink'] }, other: { pools: ['x'] }, is: 2 },
    { what: 'takes no LoRA of a pod of its own', one: { loras: ['ink'] }, other: {}, is: 1 },
    {
      what: 'does not take the order of pools and LoRAs',
      one: { pools: ['x', 'y'], loras: ['ink', 'style'] },
      other: { pools: ['y', 'x'], loras: ['style', 'ink'] },
      is: 1,
    },
  ])('$what for a difference between jobs', ({ one, other, is }) => {
    const queue = queueOf([aCandidate('a', one), aCandidate('b', other)])
    expect([...queue.lines()].flatMap((line) => line.shapes)).toHaveLength(is)
  })

  it('and its clone go separate ways', () => {
    const queue = queueOf([aCandidate('a'), aCandidate('b')])
    const clone = queue.clone()
    queue.remove('a')
    clone.put(aCandidate('c'))
    expect(uidsOf(queue)).toEqual(['b'])
    expect(uidsOf(clone)).toEqual(['a', 'b', 'c'])
    expect(contentsOf(clone)).toEqual(
      contentsOf(queueOf(['a', 'b', 'c'].map((uid) => aCandidate(uid)))),
    )
  })
})

type Change = { readonly job: Candidate | undefined; readonly uid: string }

/** The queue after the changes, what should be in it, and whether each removal knew its job. */
function replay(changes: readonly Change[]) {
  const queue = new JobQueue()
  const expected = new Map<string, Candidate>()
  const removals = changes.map(({ job, uid }) => {
    if (job === undefined) return queue.remove(uid) === expected.delete(uid)
    queue.put(job)
    expected.set(uid, job)
    // Somebody who has looked in between must not see the old order for ever.
    return queue.lineOf(job)?.shapes.length !== 0
  })
  return { queue, jobs: [...expected.values()], removals }
}

describe('a queue, whatever happens to it', () => {
  /** Puts and removals; jobs with the same uid replace each other. */
  const changes = fc
    .tuple(candidates, candidates, fc.array(fc.nat(20), { maxLength: 10 }))
    .chain(([first, second, removed]) => {
      const all = [
        ...[...first, ...second].map((job) => ({ job, uid: job.uid })),
        ...removed.map((index) => ({ job: undefined, uid: `job-${index}` })),
      ]
      return fc.shuffledSubarray(all, { minLength: all.length })
    })

  it('is what its contents are, however they came', () => {
    fc.assert(
      fc.property(changes, (all) => {
        const { queue, jobs, removals } = replay(all)
        expect(removals).not.toContain(false)
        expect(contentsOf(queue)).toEqual(contentsOf(queueOf(jobs.toSorted(compareJobs))))
        expect(contentsOf(queue.clone())).toEqual(contentsOf(queue))
      }),
      runs,
    )
  })

  it('has every job at its position among those of its owner', () => {
    fc.assert(
      fc.property(changes, (all) => {
        const { queue, jobs } = replay(all)
        const byOwner = Map.groupBy(jobs.toSorted(compareJobs), ownerKey)
        for (const own of byOwner.values()) {
          const positions = own.map(({ uid }) => queue.positionOf(uid))
          expect(positions).toEqual(own.map((_, index) => index + 1))
        }
      }),
      runs,
    )
  })

  it('has its shapes in the order of their first jobs, and none that is empty', () => {
    fc.assert(
      fc.property(changes, (all) => {
        for (const { shapes, size } of replay(all).queue.lines()) {
          expect(shapes.reduce((sum, { jobs }) => sum + jobs.length, 0)).toBe(size)
          const firsts = shapes.flatMap(({ jobs: [first] }) => first ?? [])
          expect(firsts).toHaveLength(shapes.length)
          expect(firsts).toEqual(firsts.toSorted(compareJobs))
        }
      }),
      runs,
    )
  })
})
