import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { longTests } from '../../support/long.ts'

/** What became of one job that a scenario handed in. */
export type JobFacts = {
  /** For messages. */
  readonly name: string
  /** Missing: there is neither a custom resource nor a row, and nobody deleted it. */
  readonly fate: 'Open' | 'Ended' | 'Missing'
  /** Every verdict that was ever given, such as `True/Completed`: an end is for good. */
  readonly verdicts: readonly string[]
  /** Different sets of results that somebody was ever shown. */
  readonly resultSets: number
  readonly holds: number
  /** Entries that ended its hold: settlements, refunds and expiries. */
  readonly endings: number
}

/** What a scenario left behind, counted where it lies and not where somebody reports about it. */
export type Facts = {
  readonly jobs: readonly JobFacts[]
  /** What all postings leave over, and what is still held; any unit. */
  readonly ledgerSum: number
  /** A sentence for everything else that happened twice: pods, attempts, verdicts. */
  readonly repeated: readonly string[]
  /** A sentence for each child that outlives its job. */
  readonly left: readonly string[]
}

/** Something in which jobs run, watched from before the first of them to the end. */
export type Scene = {
  readonly facts: () => Promise<Facts>
  /**
   * A line for every write so far, in lists that only grow; Leases, Events and heartbeats of Nodes
   * are none.
   */
  readonly writes: () => Promise<readonly (readonly string[])[]>
}

export type Tally = {
  readonly lost: readonly string[]
  readonly duplicated: readonly string[]
  readonly ledgerSum: number
  readonly stuck: readonly string[]
}

const convergedWithinMs = longTests ? 120_000 : 45_000
const quietMs = longTests ? 60_000 : 5000
/** Several looks and not one: between them a process that was stalled reads what it was told. */
const looks = { count: 8, everyMs: 250 }

/**
 * Waits until every job that was handed in has one end, one result set and one ending of its hold,
 * and nothing is left of it. Prints `lost=0 duplicated=0 ledger_sum=0 stuck=0`, with what was
 * counted where that does not come true, and fails then.
 */
export async function expectNothingLost(scene: Scene): Promise<void> {
  let tally: Tally | undefined
  try {
    await eventually(async () => {
      tally = tallyOf(await scene.facts())
      expect(tally).toEqual({ lost: [], duplicated: [], ledgerSum: 0, stuck: [] })
    }, convergedWithinMs)
  } finally {
    if (tally !== undefined) process.stdout.write(`${lineOf(tally)}\n`)
  }
}

/**
 * Nobody writes anything for 5 s (60 s in the long set) once the last echoes have died away. Give
 * it all scenes that ended at about the same time: they are quiet together.
 */
export async function expectQuiet(...scenes: readonly Scene[]): Promise<void> {
  const writes = async () => {
    const all = await Promise.all(scenes.map(async (scene) => await scene.writes()))
    return all.flat().map((some) => [...some])
  }
  const before = await eventually(async () => {
    const earlier = await writes()
    for (let look = 0; look < looks.count; look += 1) {
      await sleep(looks.everyMs)
      expect(countsOf(await writes())).toEqual(countsOf(earlier))
    }
    return earlier
  })
  await sleep(quietMs)
  const after = await writes()
  expect(after.flatMap((all, index) => all.slice(before[index]?.length ?? 0))).toEqual([])
}

export function tallyOf({ jobs, ledgerSum, repeated, left }: Facts): Tally {
  const all = (problem: (job: JobFacts) => string | undefined): readonly string[] =>
    jobs.flatMap((job) => {
      const found = problem(job)
      return found === undefined ? [] : [`${job.name}: ${found}`]
    })
  return {
    lost: all(lossOf),
    duplicated: [...all(repetitionOf), ...repeated],
    ledgerSum,
    stuck: [...all(({ fate }) => (fate === 'Open' ? 'has not ended' : undefined)), ...left],
  }
}

function lossOf({ fate, verdicts, resultSets, holds, endings }: JobFacts): string | undefined {
  if (fate === 'Missing') return 'there is nothing of it'
  if (fate === 'Open') return undefined
  if (verdicts.includes('True/Completed') && resultSets === 0) return 'its results'
  return endings < holds ? 'the end of its hold' : undefined
}

function repetitionOf({ verdicts, resultSets, holds, endings }: JobFacts): string | undefined {
  const counts = [verdicts.length, resultSets, holds, endings]
  if (counts.every((count) => count <= 1)) return undefined
  const ends = verdicts.join(' then ')
  return `${holds} holds, ${endings} endings, ${resultSets} result sets, and it ended ${ends}`
}

function lineOf({ lost, duplicated, ledgerSum, stuck }: Tally): string {
  const counts = [
    `lost=${lost.length}`,
    `duplicated=${duplicated.length}`,
    `ledger_sum=${ledgerSum}`,
    `stuck=${stuck.length}`,
  ]
  return [counts.join(' '), ...lost, ...duplicated, ...stuck].join('\n  ')
}

function countsOf(writes: readonly (readonly string[])[]): readonly number[] {
  return writes.map(({ length }) => length)
}
