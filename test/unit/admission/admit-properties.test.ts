import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { admit, type Start } from '../../../src/shared/domain/admission/admit.ts'
import type { AdmissionInput } from '../../../src/shared/domain/admission/input.ts'
import type { KeptRoom } from '../../../src/shared/domain/admission/node-room.ts'
import { fitsSomeNode } from '../../../src/shared/domain/admission/nodes.ts'
import { type Owned, ownerKey } from '../../../src/shared/domain/admission/owner.ts'
import { type Candidate, compareJobs } from '../../../src/shared/domain/admission/queue.ts'
import { fitsInto, subtractResources } from '../../../src/shared/domain/admission/resources.ts'
import { longTests } from '../../support/long.ts'
import { applied } from './apply.ts'
import { parts } from './arbitrary-input.ts'
import { anInput, nowMs } from './builders.ts'

/** A failure prints its seed and the smallest input (fast-check). */
const runs = { numRuns: longTests ? 1000 : 100 }
/** Jobs that are alike but for what the pod of a free slot lacks are rare. */
const manyRuns = { numRuns: runs.numRuns * 10 }

function always(check: (input: AdmissionInput) => void, times = runs): void {
  fc.assert(
    fc.property(parts, (given) => check(anInput(given))),
    times,
  )
}

/** Where the scheduler will put pods that it has yet to bind, nobody knows. */
function bound(input: AdmissionInput): AdmissionInput {
  return {
    ...input,
    occupants: input.occupants.filter(({ nodeName }) => nodeName !== undefined),
    running: input.running.filter(({ place }) => {
      return place.kind !== 'Node' || place.nodeName !== undefined
    }),
  }
}

function waitingOf(input: AdmissionInput): Candidate[] {
  return [...input.queue.lines()].flatMap(({ shapes }) => shapes.flatMap(({ jobs }) => jobs))
}

/** What is free on each usable Node, below zero where running pods overcommit it. */
function freeOn(input: AdmissionInput) {
  return input.nodes
    .filter(({ usable }) => usable)
    .map(({ name, allocatable }) => {
      const onNodes = input.running.flatMap(({ place }) => (place.kind === 'Node' ? [place] : []))
      const here = [...input.occupants, ...onNodes].filter(({ nodeName }) => nodeName === name)
      const requests = here.map(({ request }) => request)
      return { name, free: requests.reduce(subtractResources, allocatable) }
    })
}

function runningOf({ running }: AdmissionInput, { department, user }: Owned) {
  const all = running.filter((job) => job.department === department)
  return { department: all.length, owner: all.filter((job) => job.user === user).length }
}

function capsOf({ departments }: AdmissionInput, { department, user, runningJobsMax }: Candidate) {
  const { runningJobs = Infinity, runningJobsPerUser = Infinity } =
    departments.get(department) ?? {}
  const perUser = user === undefined ? Infinity : runningJobsPerUser
  return { department: runningJobs, owner: Math.min(runningJobsMax ?? Infinity, perUser) }
}

function isCapped(input: AdmissionInput, job: Candidate): boolean {
  const count = runningOf(input, job)
  const caps = capsOf(input, job)
  return count.owner >= caps.owner || count.department >= caps.department
}

function poolsOf({ pools }: AdmissionInput, job: Candidate) {
  if (job.execution === 'Dedicated' || job.execution === 'Quota') return []
  return pools.filter(({ name }) => job.pools.includes(name))
}

/** Free slots of pods that were made with all that the job needs. */
function slotsFor(input: AdmissionInput, job: Candidate) {
  const needed = [job.model, ...(job.loras ?? [])]
  const free = poolsOf(input, job).flatMap(({ slots }) => slots)
  return free.filter(({ lacks = [] }) => !needed.some((name) => lacks.includes(name)))
}

/** In `Auto` only after the patience with pools that may still serve it. */
function mayTakeNode(input: AdmissionInput, job: Candidate): boolean {
  if (job.execution !== 'Auto') return job.execution === 'Dedicated'
  const coming = poolsOf(input, job).some(
    ({ growable, loading }) => growable || loading.includes(job.model),
  )
  return !coming || job.createdMs + input.settings.poolPatienceMs <= input.nowMs
}

/** An earlier job of its owner that asks for the same is to take a Node first, and may not yet. */
function isBehind(input: AdmissionInput, job: Candidate): boolean {
  return waitingOf(input).some((other) => {
    const isEarlier = ownerKey(other) === ownerKey(job) && compareJobs(other, job) < 0
    return isEarlier && isAlike(other, job) && !mayTakeNode(input, other)
  })
}

function isAllowed(input: AdmissionInput, { job, place }: Start): boolean {
  // Whether the slot is free at all is asserted where it is taken (`apply.ts`).
  if (place.kind === 'Slot') return slotsFor(input, job).some(({ pod }) => pod === place.pod)
  if (place.kind === 'Quota') return job.execution === 'Quota'
  const node = freeOn(input).find(({ name }) => name === place.nodeName)
  return mayTakeNode(input, job) && node !== undefined && fitsInto(job.request, node.free)
}

/** The cluster after each start, one after the other. */
function eachStart(input: AdmissionInput, check: (before: AdmissionInput, start: Start) => void) {
  const { starts, ...rest } = admit(input)
  let before = input
  for (const start of starts) {
    check(before, start)
    before = applied(before, { ...rest, starts: [start] })
  }
}

describe('admission, whatever the input', () => {
  it('gives only what is free, to jobs that may have it', () => {
    always((input) =>
      eachStart(input, (before, { job, place }) => {
        expect(before.queue.get(job.uid)).toBe(job)
        expect(isAllowed(before, { job, place })).toBe(true)
      }),
    )
  })

  it('keeps every cap at every start', () => {
    always((input) =>
      eachStart(input, (before, { job }) => expect(isCapped(before, job)).toBe(false)),
    )
  })

  it('leaves nothing free that a job within its caps could use', () => {
    always((given) => {
      const settings = { ...given.settings, lookAhead: 32 }
      const input = { ...bound(given), turns: new Map(), settings }
      const after = applied(input, admit(input))
      for (const job of waitingOf(after)) {
        if (isCapped(after, job)) continue
        expect(job.execution).not.toBe('Quota')
        expect(slotsFor(after, job)).toEqual([])
        if (!mayTakeNode(after, job) || isBehind(after, job)) continue
        expect(freeOn(after).filter(({ free }) => fitsInto(job.request, free))).toEqual([])
      }
    }, manyRuns)
  })

  it('keeps at most one Node, and only for a job that has waited long', () => {
    always((given) => {
      const input = {
        ...bound(given),
        departments: new Map(),
        settings: { ...given.settings, lookAhead: 32 },
      }
      const after = applied(input, admit(input))
      const waiting = waitingOf(after).filter((job) => job.runningJobsMax === undefined)
      const kept = waiting
        .filter((job) => mayTakeNode(after, job))
        .flatMap((job) => freeOn(after).filter(({ free }) => fitsInto(job.request, free)))
      const isOld = [...input.turns].some(([uid, { firstMs, passedMs = nowMs }]) => {
        return after.queue.get(uid) && (nowMs - firstMs > 200_000 || nowMs - passedMs >= 30_000)
      })
      expect(new Set(kept.map(({ name }) => name)).size).toBeLessThanOrEqual(isOld ? 1 : 0)
      expect(waiting.flatMap((job) => slotsFor(after, job))).toEqual([])
    })
  })

  it('starts nothing more when it is asked again', () => {
    always((given) => {
      const input = bound(given)
      const again = admit(applied(input, admit(input)))
      expect(again.starts).toEqual([])
    })
  })

  it('lets at most two clocks of one owner go on, beside those of jobs that have a place', () => {
    always((input) => {
      const admission = admit(input)
      const { queue } = applied(input, admission)
      const jobs = [...admission.turns.keys()].flatMap((uid) => queue.get(uid) ?? [])
      const counts = [...Map.groupBy(jobs, ownerKey).values()].map(({ length }) => length)
      expect(Math.max(0, ...counts)).toBeLessThanOrEqual(2)
    })
  })

  it('answers the same for the same input in any order', () => {
    const shuffled = parts.chain(
      ({ nodes, occupants, pools, running, jobs, departments, turns, ...same }) =>
        fc.record({
          one: fc.constant(
            anInput({ nodes, occupants, pools, running, jobs, departments, turns, ...same }),
          ),
          other: fc
            .record({
              nodes: shuffle(nodes),
              occupants: shuffle(occupants),
              pools: shuffle(pools.map((pool) => ({ ...pool, slots: pool.slots.toReversed() }))),
              running: shuffle(running),
              jobs: shuffle(
                jobs.map((job) => {
                  const loras = job.loras?.toReversed()
                  return { ...job, loras, pools: job.pools.toReversed() }
                }),
              ),
              departments: shuffle([...departments]).map((all) => new Map(all)),
              turns: shuffle([...turns]).map((all) => new Map(all)),
            })
            .map((over) => anInput({ ...over, ...same })),
        }),
    )
    fc.assert(
      fc.property(shuffled, ({ one, other }) => {
        expect(sketchOf(other)).toEqual(sketchOf(one))
      }),
      runs,
    )
  })

  it('changes neither its input nor its mind', () => {
    always((input) => {
      const before = sketchOf(input)
      const jobs = waitingOf(input).map(({ uid }) => uid)
      expect(sketchOf(input)).toEqual(before)
      expect(waitingOf(input).map(({ uid }) => uid)).toEqual(jobs)
    })
  })

  it('starts jobs of one owner that ask for the same in their order', () => {
    always((input) => {
      const { starts } = admit(input)
      const left = waitingOf(applied(input, admit(input)))
      for (const { job } of starts) {
        const alike = left.filter(
          (other) => ownerKey(other) === ownerKey(job) && isAlike(other, job),
        )
        expect(alike.filter((other) => compareJobs(other, job) < 0)).toEqual([])
      }
    })
  })

  it('calls a job impossible exactly when no Node could ever hold it and no pool serves it', () => {
    always((input) => {
      for (const [uid, reason] of admit(input).waiting) {
        const job = input.queue.get(uid)
        if (job === undefined) continue
        const onNode = job.execution !== 'Pooled' && fitsSomeNode(job.request, input.nodes)
        const isPossible = job.execution === 'Quota' || onNode || poolsOf(input, job).length > 0
        expect(reason === 'NoMatchingGpu').toBe(!isPossible)
      }
    })
  })

  it('says of the first waiting job of every owner why it waits', () => {
    always((input) => {
      const admission = admit(input)
      const left = [...applied(input, admission).queue.lines()]
      const heads = left.flatMap(({ shapes }) => shapes[0]?.jobs[0]?.uid ?? [])
      expect([...admission.waiting.keys()].toSorted()).toEqual(heads.toSorted())
    })
  })
})

function shuffle<T>(all: readonly T[]): fc.Arbitrary<T[]> {
  return fc.shuffledSubarray([...all], { minLength: all.length })
}

function sketchOf(input: AdmissionInput) {
  const { starts, waiting, turns, kept, recheckAtMs } = admit(input)
  const places = starts.map(({ job, place }) => [job.uid, place])
  return {
    places,
    waiting: new Map(waiting),
    turns: new Map(turns),
    kept: kept && sketchOfRoom(kept),
    recheckAtMs,
  }
}

/** Its lists are in the order of the Nodes, and whoever reads them only counts and looks up. */
function sketchOfRoom({ leaving, elsewhere, contested, isWaitedFor }: KeptRoom) {
  return {
    leaving: sorted(leaving),
    elsewhere: sorted(elsewhere),
    contested: sorted(contested),
    isWaitedFor,
  }
}

function sorted(all: readonly unknown[]): string[] {
  return all.map((one) => JSON.stringify(one)).toSorted()
}

function isAlike(left: Candidate, right: Candidate): boolean {
  const { uid: _l, createdMs: _lc, priority: _lp, ...one } = left
  const { uid: _r, createdMs: _rc, priority: _rp, ...other } = right
  return JSON.stringify(one) === JSON.stringify(other)
}
