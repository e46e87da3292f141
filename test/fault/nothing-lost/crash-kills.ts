import { expect } from 'vitest'
import { longTests } from '../../support/long.ts'
import { seed, startRandom } from '../../support/seed.ts'
import { expectNothingLost, expectQuiet, type Scene } from './audit.ts'
import type { World } from '../../integration/controller/world.ts'

/** One way through the life of an object. */
export type Scenario = {
  readonly name: string
  /** How it ends: `status/reason` of the condition that tells it, or Deleted. */
  readonly end: string
}

/** A world in which plays follow each other. */
export type Stage = {
  readonly world: World
  readonly scene: Scene
  readonly close: () => Promise<void>
}

export type Played = {
  /** Whatever does not differ from one run to the next. */
  readonly end: { readonly verdict: string }
  /** Of the first controller. */
  readonly writes: readonly string[]
}

/** What is played, where, and how. */
export type Sort<L extends Stage, S extends Scenario> = {
  readonly open: () => Promise<L>
  readonly lanes: number
  readonly scenarios: readonly S[]
  /** Each controller is killed after so many writes; another one follows that lives on. */
  readonly play: (lane: L, scenario: S, deaths: readonly number[]) => Promise<Played>
  /** What several controllers in a row do before they die, in the first scenario. */
  readonly row: readonly number[]
}

type Kill<S> = {
  readonly scenario: S
  /** Writes after which one controller after the other dies. */
  readonly deaths: readonly number[]
  readonly end: unknown
}

/**
 * The long set kills after every write of every scenario. The short one does so for one scenario of
 * each sort, and after some writes of the others; which ones, the seed decides.
 */
const writesOfOthers = longTests ? Infinity : 1

/**
 * However often a controller is killed, it ends as if nobody had died, and then there is quiet.
 * Returns the share of the kills that happened: two changes may become one write.
 */
export async function killAnywhere<L extends Stage, S extends Scenario>(
  sort: Sort<L, S>,
): Promise<number> {
  const lanes = await openLanes(sort)
  try {
    const share = await playAll(lanes, sort)
    await expectRest(lanes)
    return share
  } finally {
    await Promise.all(lanes.map(async (lane) => await lane.close()))
  }
}

async function playAll<L extends Stage, S extends Scenario>(
  lanes: readonly L[],
  sort: Sort<L, S>,
): Promise<number> {
  const kills = await playUndisturbed(lanes, sort)
  const inRow = kills.slice(0, 1).map((kill) => ({ ...kill, deaths: sort.row }))
  const chosen = [...choose(kills, sort.scenarios), ...inRow]
  let killed = 0
  await inLanes(lanes, chosen, async (lane, { scenario, deaths, end }) => {
    const played = await named(scenario, deaths, sort.play(lane, scenario, deaths))
    const last = played.writes.at(-1)
    expect({ of: scenario.name, deaths, last, end: played.end }).toMatchObject({ end })
    if (played.writes.length === deaths[0]) killed += 1
  })
  process.stdout.write(`killed=${killed} of ${chosen.length}, of all ${kills.length + 1}\n`)
  return killed / chosen.length
}

/** What does not come true in a play is told with the death that it came after. */
async function named<T>(
  { name }: Scenario,
  deaths: readonly number[],
  playing: Promise<T>,
): Promise<T> {
  return await playing.catch((cause: unknown) => {
    throw new Error(`${name}, killed after writes [${deaths.join()}]: ${String(cause)}`, { cause })
  })
}

async function openLanes<L extends Stage, S extends Scenario>({
  open,
  lanes,
}: Sort<L, S>): Promise<readonly L[]> {
  return await Promise.all(Array.from({ length: lanes }, async () => await open()))
}

/** How each scenario ends when nobody dies, and every single death there could be in it. */
async function playUndisturbed<L extends Stage, S extends Scenario>(
  lanes: readonly L[],
  { scenarios: all, play }: Sort<L, S>,
): Promise<readonly Kill<S>[]> {
  const kills: Kill<S>[] = []
  await inLanes(lanes, all, async (lane, scenario) => {
    const { end, writes } = await named(scenario, [], play(lane, scenario, []))
    expect({ of: scenario.name, end }).toMatchObject({ end: { verdict: scenario.end } })
    for (const index of writes.keys()) kills.push({ scenario, deaths: [index + 1], end })
  })
  // Lanes finish in any order, and the seed must decide alone.
  const order = ({ scenario, deaths: [write = 0] }: Kill<S>) => all.indexOf(scenario) * 1000 + write
  return kills.toSorted((one, other) => order(one) - order(other))
}

/** In random order: what one play leaves behind is met by another one each time. */
function choose<S>(kills: readonly Kill<S>[], all: readonly S[]): readonly Kill<S>[] {
  const random = startRandom(seed)
  const whole = all[Math.floor(random() * all.length)]
  const counts = new Map<S, number>()
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

/** Most of a play is waiting: those of several worlds do not disturb each other. */
async function inLanes<L, T>(
  lanes: readonly L[],
  all: readonly T[],
  work: (lane: L, one: T) => Promise<void>,
): Promise<void> {
  const left = [...all]
  const walk = async (lane: L) => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(lane, one)
  }
  await Promise.all(lanes.map(walk))
}

/** Nothing of all that was played is lost, and a controller that looks at it has nothing to do. */
async function expectRest(lanes: readonly Stage[]): Promise<void> {
  await Promise.all(lanes.map(async ({ world }) => await world.startController()))
  for (const { scene } of lanes) await expectNothingLost(scene)
  await expectQuiet(...lanes.map(({ scene }) => scene))
}
