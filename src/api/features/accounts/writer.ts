import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import type { ChangeContext } from '../../../shared/domain/account-entry.ts'
import { openEntryRelay } from './entry-relay.ts'
import type { AccountOperation } from './operation.ts'
import { type RoundResult, runRound } from './round.ts'
import { openSnapshotMemory } from './snapshot-memory.ts'
import type { AccountStore } from './store.ts'
import { overloaded, toWaiting, unavailable, type Waiting } from './waiting.ts'

export type AccountWriter = {
  /** Decides and commits. Errors: `platform.unavailable`, also under overload: nothing is decided. */
  readonly run: <Outcome>(operation: AccountOperation<Outcome>) => Promise<Outcome>
  /** Resolves when nothing waits and what was written is relayed, or cannot be for now. */
  readonly idle: () => Promise<void>
}

export type AccountWriterDeps = {
  readonly store: AccountStore
  readonly context: () => ChangeContext
  /** Waits between tries. */
  readonly pause: (ms: number) => Promise<void>
  readonly random: () => number
}

const limits = { tries: 40, pauseMsMax: 250, round: 512, waiting: 5000, restMs: 50 } as const
/**
 * Requests inside this process are committed in rounds: one read, one look at the past and one
 * round trip of compare-and-sets for whatever waits, however many accounts it is of. Between
 * processes the compare-and-set decides; a lost answer is found again by re-reading, because every
 * decision looks for the entry of its first effect.
 */
export function openAccountWriter(deps: AccountWriterDeps): AccountWriter {
  const memory = openSnapshotMemory()
  const relay = openEntryRelay(deps.store, memory)
  const queue: Waiting[] = []
  let loop: Promise<void> | null = null
  let sleeping = 0
  const isBusy = () => loop !== null || sleeping > 0
  const start = (work: () => Promise<void>) => {
    loop ??= work().finally(() => {
      loop = null
      if (queue.length > 0) start(decideAll)
    })
  }
  const decideAll = async () => {
    while (queue.length > 0) {
      // Whoever was just answered, or comes with the same packet, gets into this round.
      await turnOfTheLoop()
      const result = await runRound({ ...deps, memory, relay }, queue.splice(0, limits.round))
      queue.unshift(...result.outdated)
      if (result.unwritten.length > 0) later(pauseMsOf(result, deps.random), () => retry(result))
    }
    later(limits.restMs, () => start(relay.finish))
  }
  /** Never beside a round: both write outboxes. */
  const later = (ms: number, act: () => void) => {
    sleeping += 1
    const wake = () => {
      sleeping -= 1
      act()
    }
    void deps.pause(ms).then(wake, wake)
  }
  const retry = ({ unwritten, cause }: RoundResult) => {
    for (const operation of unwritten) {
      if (operation.triesLeft === 0) operation.fail(unavailable(cause))
      else queue.push({ ...operation, triesLeft: operation.triesLeft - 1 })
    }
    start(decideAll)
  }
  return {
    run: async (operation) =>
      await new Promise((resolve, reject) => {
        if (queue.length >= limits.waiting) {
          reject(overloaded('too many changes of credits wait'))
          return
        }
        queue.push(toWaiting(operation, { resolve, reject, triesLeft: limits.tries }))
        start(decideAll)
      }),
    idle: async () => {
      while (isBusy()) await (loop ?? deps.pause(limits.restMs))
    },
  }
}

/** Full jitter: those who collided must not meet again. About five seconds in all. */
function pauseMsOf({ unwritten: [first] }: RoundResult, random: () => number): number {
  const tries = limits.tries - (first?.triesLeft ?? limits.tries)
  return random() * Math.min(limits.pauseMsMax, 10 * 2 ** tries)
}
