import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { longTests } from '../../support/long.ts'
import { seed } from '../../support/seed.ts'
import { fundAll, ledgerCommands } from '../../support/ledger/commands.ts'
import { proveEveryFault, scenarios } from '../../support/ledger/crashes.ts'
import { proveAtRest } from '../../support/ledger/proof.ts'
import { openWorld } from '../../support/ledger/world.ts'
import { openReplicas, type Replicas } from './accounts-replicas.ts'

let replicas: Replicas

beforeAll(async () => {
  replicas = await openReplicas(1)
})
afterAll(async () => await replicas.close())

const pause = async (ms: number) => await wait(Math.min(ms, 2))

/** Accounts of its own: their ids sort alike, so that entries come in the same order. */
function newWorld(processes: number) {
  const prefix = randomBytes(6).toString('hex')
  return openWorld({ store: replicas.first.store, prefix, processes, random: Math.random, pause })
}

const [numRuns, timeMsMax] = longTests ? [100, 500_000] : [8, 50_000]

describe('any commands to several processes on one ledger in the database', () => {
  it(`are answered as the model does, seed ${seed}`, async () => {
    let proved = 0
    const property = fc.asyncProperty(ledgerCommands(longTests ? 100 : 60), async (commands) => {
      const world = newWorld(3)
      await fundAll(world)
      await fc.asyncModelRun(() => ({ model: {}, real: world }), commands)
      await proveAtRest(world)
      proved += 1
    })
    const limit = { interruptAfterTimeLimit: timeMsMax, markInterruptAsFailure: true }
    await fc.assert(property, { numRuns, seed, ...limit })
    expect(proved).toBe(numRuns)
  }, 600_000)
})

/** The others are the same code; in memory all of them are struck. */
const few = new Set(['settle', 'distribute to three'])
const struck = longTests ? scenarios : scenarios.filter(({ name }) => few.has(name))

describe.each(struck)('a process that dies between two calls to the database: $name', (one) => {
  it('leaves what the next one brings to the same end', async () => {
    const struckTimes = await proveEveryFault(() => newWorld(2), one, 'Dies')
    expect(struckTimes).toBeGreaterThanOrEqual(6)
  })
})
