import { describe, expect, it } from 'vitest'
import { longTests } from '../../support/long.ts'
import { seed, startRandom } from '../../support/seed.ts'
import { expectRest, inLanes, type Lane, openDedicatedLane, openPooledLane } from './crash-lanes.ts'
import { type CrashScenario, play, scenarios, waitingScenarios } from './crash-plays.ts'

/**
 * The long set kills after every write of every scenario. The short one does so for one scenario of
 * each sort, and after some writes of the others; which ones, the seed decides.
 */
const writesOfOthers = longTests ? Infinity : 1
const timeout = longTests ? 3_600_000 : 300_000

type Kill = {
  readonly scenario: CrashScenario
  /** Writes after which one controller after the other dies. */
  readonly deaths: readonly number[]
  readonly end: unknown
}

const sorts = [
  {
    name: 'in pods of their own',
    open: openDedicatedLane,
    lanes: 4,
    scenarios: [...scenarios, ...waitingScenarios],
  },
  { name: 'in slots of a pool', open: openPooledLane, lanes: 2, scenarios },
] as const

describe.concurrent('4: a controller is killed after any of its writes', { timeout }, () => {
  it.each(sorts)(`of jobs $name (seed ${seed})`, async (sort) => {
    const opening = Array.from({ length: sort.lanes }, async () => await sort.open())
    const lanes = await Promise.all(opening)
    try {
      const kills = await playUndisturbed(lanes, sort.scenarios)
      const again = kills.slice(0, 1).map((kill) => ({ ...kill, deaths: [3, 3, 3, 3] }))
      const chosen = [...choose(kills, sort.scenarios), ...again]
      let killed = 0
      await inLanes(lanes, chosen, async (lane, { scenario, deaths, end }) => {
        const played = await play(lane, scenario, deaths)
        const last = played.writes.at(-1)
        expect({ of: scenario.name, deaths, last, end: played.end }).toMatchObject({ end })
        if (played.writes.length === deaths[0]) killed += 1
      })
      // Two changes may become one write, so that the last kills need not happen.
      expect(killed).toBeGreaterThan(chosen.length * 0.7)
      await expectRest(lanes)
    } finally {
      await Promise.all(lanes.map(async (lane) => await lane.close()))
    }
  })
})

/** How each scenario ends when nobody dies, and every single death there could be in it. */
async function playUndisturbed(
  lanes: readonly Lane[],
  all: readonly CrashScenario[],
): Promise<readonly Kill[]> {
  const kills: Kill[] = []
  await inLanes(lanes, all, async (lane, scenario) => {
    const { end, writes } = await play(lane, scenario, [])
    expect({ of: scenario.name, end }).toMatchObject({ end: { verdict: scenario.end } })
    for (const index of writes.keys()) kills.push({ scenario, deaths: [index + 1], end })
  })
  // Lanes finish in any order, and the seed must decide alone.
  const order = ({ scenario, deaths: [write = 0] }: Kill) => all.indexOf(scenario) * 1000 + write
  return kills.toSorted((one, other) => order(one) - order(other))
}

/** In random order: what one play leaves behind is met by another one each time. */
function choose(kills: readonly Kill[], all: readonly CrashScenario[]): readonly Kill[] {
  const random = startRandom(seed)
  const whole = all[Math.floor(random() * all.length)]
  const counts = new Map<CrashScenario, number>()
  return kills
    .map((kill) => ({ kill, place: random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ kill }) => kill)
    .filter(({ scenario }) => {
      const count = (counts.get(scenario) ?? 0) + 1
      counts.set(scenario, count)
      return scenario === whole || count <= writesOfOthers
    })
}
