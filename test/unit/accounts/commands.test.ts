import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { longTests } from '../../support/long.ts'
import { seed, startRandom } from '../../support/seed.ts'
import { fundAll, ledgerCommands } from '../../support/ledger/commands.ts'
import { openMemoryAccountStore } from '../../support/ledger/memory-store.ts'
import { proveAtRest } from '../../support/ledger/proof.ts'
import { openWorld } from '../../support/ledger/world.ts'

/** Waits for a random number of turns, so that nothing that runs at once keeps its order. */
function startTurns(random: () => number, turnsMax: number): () => Promise<void> {
  return async () => {
    for (let left = Math.floor(random() * turnsMax); left > 0; left -= 1) await Promise.resolve()
  }
}

/** Finding the shortest of the sequences that fail must not take for ever. */
const timeMsMax = longTests ? 500_000 : 240_000
const numRuns = longTests ? 1000 : 100

describe('any commands to several processes on one ledger in memory', () => {
  it(`are answered as the model does, seed ${seed}`, async () => {
    let proved = 0
    const property = fc.asyncProperty(fc.nat(), ledgerCommands(100), async (chance, commands) => {
      const random = startRandom(chance)
      const store = openMemoryAccountStore(startTurns(random, 6))
      const pause = startTurns(random, 60)
      const world = openWorld({ store, prefix: 'x', processes: 3, random, pause })
      await fundAll(world)
      await fc.asyncModelRun(() => ({ model: {}, real: world }), commands)
      await proveAtRest(world)
      proved += 1
    })
    await fc.assert(property, {
      numRuns,
      seed,
      interruptAfterTimeLimit: timeMsMax,
      markInterruptAsFailure: true,
    })
    expect(proved).toBe(numRuns)
  }, 600_000)
})
