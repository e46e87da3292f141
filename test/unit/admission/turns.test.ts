import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { admit } from '../../../src/shared/domain/admission/admit.ts'
import { openTally } from '../../../src/shared/domain/admission/tally.ts'
import type { AdmissionInput } from '../../../src/shared/domain/admission/input.ts'
import { longTests } from '../../support/long.ts'
import { applied } from './apply.ts'
import { aCandidate, aNode, anInput, aRunning, hourMs, nowMs } from './builders.ts'
import { type Arrival, World } from './world.ts'

const runs = { numRuns: longTests ? 1000 : 100 }
const names = ['assembly', 'vision', 'wafer']
const weights = fc.tuple(...names.map(() => fc.integer({ min: 1, max: 10 })))

function departmentsOf(all: readonly number[]) {
  return new Map(names.map((name, index) => [name, { weight: all[index] ?? 1 }]))
}

/** Departments with more jobs than GPUs, some of which are busy already. */
const crowds: fc.Arbitrary<AdmissionInput> = fc
  .record({
    weights,
    gpus: fc.integer({ min: 1, max: 30 }),
    running: fc.array(fc.constantFrom(...names), { maxLength: 10 }),
    users: fc.tuple(...names.map(() => fc.integer({ min: 1, max: 3 }))),
  })
  .map(({ weights: all, gpus, running, users }) => {
    const jobs = names.flatMap((department, at) =>
      Array.from({ length: 40 }, (_, index) =>
        aCandidate(`${department}-${index}`, {
          department,
          user: `user-${index % (users[at] ?? 1)}`,
        }),
      ),
    )
    return anInput({
      jobs,
      departments: departmentsOf(all),
      nodes: [aNode('one', gpus + running.length)],
      running: running.map((department, index) => {
        return aRunning(`x${index}`, { department, user: `user-${index % 2}` })
      }),
    })
  })

function shareOf(at: AdmissionInput, name: string): number {
  return openTally(at).departmentStanding(name).share
}

describe('departments that all have jobs waiting', () => {
  it('never let one start a job while another has the smaller share', () => {
    fc.assert(
      fc.property(crowds, (input) => {
        const admission = admit(input)
        let before = input
        for (const start of admission.starts) {
          const shares = names.map((name) => shareOf(before, name))
          expect(shareOf(before, start.job.department)).toBeCloseTo(Math.min(...shares), 6)
          before = applied(before, { ...admission, starts: [start] })
        }
      }),
      runs,
    )
  })

  it('share the GPUs inside by users, never two apart', () => {
    fc.assert(
      fc.property(crowds, (given) => {
        const input = { ...given, running: [] }
        const { starts } = admit(input)
        const waiting = new Set([...input.queue.lines()].map(({ key }) => key))
        const counts = Map.groupBy(starts, ({ job }) => `${job.department}/${job.user}`)
        for (const name of names) {
          const keys = [...waiting].filter((key) => key.startsWith(`${name}/`))
          const sizes = keys.map((key) => counts.get(key)?.length ?? 0)
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        }
      }),
      runs,
    )
  })

  it.each([
    [1, 1, 1],
    [3, 2, 1],
    [8, 1, 1],
  ])('get GPU time over hours by their weights %i : %i : %i', (...all) => {
    const arrivals: Arrival[] = names.flatMap((department) =>
      Array.from({ length: 600 }, (_, index) => {
        const job = aCandidate(`${department}-${index}`, { department, createdMs: nowMs + index })
        return { atMs: nowMs, job, runMs: 60_000 + (index % 7) * 10_000 }
      }),
    )
    const input = anInput({ departments: departmentsOf(all), nodes: [aNode('one', 4)] })
    const endMs = nowMs + 3 * hourMs
    const { stories } = new World(input, arrivals).runUntil(endMs)
    const total = all.reduce((sum, weight) => sum + weight, 0)
    for (const [index, department] of names.entries()) {
      const own = [...stories.values()].filter(({ job }) => job.department === department)
      const usedMs = own.reduce((sum, run) => sum + Math.min(run.endMs, endMs) - run.startMs, 0)
      const expected = (all[index] ?? 0) / total
      // GPUs are whole: the fewer there are, the less exactly they can be shared.
      expect(Math.abs(usedMs / (12 * hourMs) - expected)).toBeLessThan(0.1)
    }
  })

  it('serve ten jobs of one user at once though another has thousands', () => {
    const crowd: Arrival[] = Array.from({ length: 1000 }, (_, index) => {
      return { atMs: nowMs, job: aCandidate(`many-${index}`), runMs: 5000 }
    })
    const few: Arrival[] = Array.from({ length: 10 }, (_, index) => {
      const job = aCandidate(`few-${index}`, { user: 'lee', createdMs: nowMs + 60_000 })
      return { atMs: nowMs + 60_000, job, runMs: 5000 }
    })
    const run = (all: readonly Arrival[]) => {
      const { stories } = new World(anInput({ nodes: [aNode('one', 4)] }), all).runUntil(
        nowMs + 300_000,
      )
      return Math.max(...few.map(({ job }) => stories.get(job.uid)?.endMs ?? Infinity))
    }
    const soloMs = run(few) - nowMs - 60_000
    expect(run([...crowd, ...few]) - nowMs - 60_000).toBeLessThanOrEqual(2 * soloMs)
  })
})
