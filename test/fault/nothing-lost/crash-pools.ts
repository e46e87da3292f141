import { expect } from 'vitest'
import { findCondition } from '../../../src/controller/conditions.ts'
import { unlessNotFound } from '../../../src/platform/kube/errors.ts'
import { createObject, listObjects } from '../../../src/platform/kube/objects.ts'
import {
  type AnyKind,
  type Deployment,
  deployments,
  models,
  pods,
  type ResourceKind,
  resourceClaimTemplates,
  secrets,
} from '../../../src/platform/kube/resources.ts'
import type { KubeObject } from '../../../src/platform/kube/types.ts'
import type { ModelPool } from '../../../src/shared/crd/model-pool.ts'
import { annotations, labels } from '../../../src/shared/names.ts'
import {
  type FakePoolPods,
  startFakePoolPods,
} from '../../integration/controller/fake-pool-pods.ts'
import {
  collectedWithinMs,
  type PoolScene,
  poolScene,
} from '../../integration/controller/pool-scene.ts'
import { createWorld, modelSpec } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import type { Played, Scenario, Stage } from './crash-kills.ts'
import { startCount } from './crash-lanes.ts'
import { isOwnWrite, outlive } from './crash-lives.ts'
import { watchWorld } from './world-scene.ts'

/** Where pools are played: their pods are real, and speak the protocol. */
export type PoolLane = Stage & {
  readonly slots: FakePoolPods
  readonly nextNumber: () => number
  /** A Model that no other pool of the lane has. */
  readonly createModel: () => Promise<string>
}

/** One pool in one play. */
export type PoolPlay = {
  readonly lane: PoolLane
  readonly name: string
  readonly pool: PoolScene
}

/** One way through the life of a pool, by its condition Ready. */
export type PoolScenario = Scenario & {
  /** Begins the names of its pools. */
  readonly key: string
  /** What there is before anybody dies. */
  readonly prepare?: (play: PoolPlay) => Promise<void>
  /** What somebody does then. */
  readonly act: (play: PoolPlay) => Promise<void>
  /** Pods that the pool has at last. */
  readonly pods: number
  /** Pools of the name that there were; one when absent. */
  readonly generations?: number
}

export async function openPoolLane(): Promise<PoolLane> {
  const world = await createWorld({ gpus: [64] })
  const { admin: client, api, namespace } = world
  const slots = startFakePoolPods({ client, api, namespace })
  const scene = await watchWorld(world, slots)
  const nextNumber = startCount()
  const own: string[] = []
  return {
    world,
    scene,
    slots,
    nextNumber,
    createModel: async () => {
      const name = `${namespace}-own-${nextNumber()}`
      await createObject(client, models, { metadata: { name }, spec: modelSpec() })
      own.push(name)
      return name
    },
    close: async () => {
      await scene.close()
      await slots.close()
      for (const name of own) await world.removeModel(name)
      await world.close()
    },
  }
}

/** Plays a scenario with a pool. Only what is written after its preparation is a place to die. */
export async function playPool(
  lane: PoolLane,
  scenario: PoolScenario,
  deaths: readonly number[],
): Promise<Played> {
  const { world } = lane
  const name = `${scenario.key}-${lane.nextNumber()}`
  const play = { lane, name, pool: poolScene(world, name) }
  let isPrepared = false
  const counts = (path: string) => isPrepared && isOwnWrite(world, path)
  const { result, writes } = await outlive(world, { deaths, counts }, async () => {
    await scenario.prepare?.(play)
    isPrepared = true
    await scenario.act(play)
    return await untilAsMeant(play, scenario)
  })
  return { end: result, writes }
}

/** One of each, with the pods that there are to be; what was made twice is remembered. */
async function untilAsMeant(play: PoolPlay, scenario: PoolScenario): Promise<Played['end']> {
  const { end, pods: count, generations = 1 } = scenario
  const isDeleted = end === 'Deleted'
  const children = [`Deployment pool-${play.name}`, `Secret pool-${play.name}-key`]
  const meant = {
    verdict: end,
    children: isDeleted ? [] : children.map((child) => `${child} of the pool`),
    counts: isDeleted ? [] : [count, count, count],
    pods: count,
    marked: 0,
    made: isDeleted ? [] : repeated(children, generations),
    changed: [],
  }
  return await eventually(async () => {
    const found = await stateOf(play)
    expect(found).toEqual(meant)
    return { verdict: found.verdict, counts: found.counts }
  }, collectedWithinMs)
}

function repeated(lines: readonly string[], count: number): readonly string[] {
  return Array.from({ length: count }, () => lines)
    .flat()
    .toSorted()
}

async function stateOf(play: PoolPlay) {
  const { name, pool } = play
  const object = await pool.get().catch(unlessNotFound)
  const deployment = await pool.deployment().catch(unlessNotFound)
  const found = await listAll(play, pods)
  const history = await historyOf(play, [`pool-${name}`, `pool-${name}-key`])
  return {
    verdict: verdictOf(object),
    children: await childrenOf(play, object),
    counts: countsOf(object, deployment),
    pods: found.length,
    marked: found.filter((pod) => costOf(pod) < 0).length,
    changed: history.changed,
    // Who has not heard yet of a deletion may make one more child, which is collected in its turn.
    made: object === undefined ? [] : history.made,
  }
}

function verdictOf(pool: ModelPool | undefined): string {
  if (pool === undefined) return 'Deleted'
  const { metadata, status } = pool
  if (status?.observedGeneration !== metadata.generation) return 'not observed'
  const ready = findCondition(status?.conditions, 'Ready')
  return `${ready?.status}/${ready?.reason}`
}

/** Pods that there are to be, that there are, and that take jobs. */
function countsOf(pool: ModelPool | undefined, deployment: Deployment | undefined) {
  if (pool === undefined) return []
  return [deployment?.spec?.replicas, pool.status?.replicas, pool.status?.readyReplicas]
}

function costOf({ metadata }: KubeObject): number {
  return Number(metadata.annotations?.[annotations.podDeletionCost] ?? 0)
}

const childKinds = [deployments, secrets, resourceClaimTemplates] as const

/** Whatever has the pool's label, or is the pool's by its owner. */
async function childrenOf(play: PoolPlay, pool: ModelPool | undefined): Promise<string[]> {
  const lists = childKinds.map(async (kind: ResourceKind<KubeObject>) => {
    const { admin, namespace } = play.lane.world
    const all = await listObjects(admin, kind, { namespace })
    const isOwn = ownersOf(pool)
    return all
      .filter((object) => isOwn(object) || object.metadata.labels?.[labels.pool] === play.name)
      .map((object) => `${lineOf(kind, object)}${isOwn(object) ? ' of the pool' : ''}`)
  })
  return (await Promise.all(lists)).flat().toSorted()
}

function ownersOf(pool: ModelPool | undefined): (object: KubeObject) => boolean {
  const uid = pool?.metadata.uid
  return ({ metadata }) => {
    return (
      uid !== undefined && metadata.ownerReferences?.some((owner) => owner.uid === uid) === true
    )
  }
}

function lineOf({ kind }: AnyKind, { metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`
}

async function listAll<T extends KubeObject>({ lane, name }: PoolPlay, kind: ResourceKind<T>) {
  const { admin, namespace } = lane.world
  return await listObjects(admin, kind, { namespace, labelSelector: `${labels.pool}=${name}` })
}

/** What was ever made under these names, and every change of a Secret: a key is for good. */
async function historyOf({ lane }: PoolPlay, names: readonly string[]) {
  const [changes = []] = await lane.scene.writes()
  const lines = changes
    .map((line) => line.split(' '))
    .map(([type, kind, key = '']) => {
      return { type, line: `${kind} ${key.slice(key.indexOf('/') + 1)}`, kind }
    })
  const ours = lines.filter(({ line }) => {
    return names.some((name) => line === `Deployment ${name}` || line === `Secret ${name}`)
  })
  return {
    made: ours
      .filter(({ type }) => type === 'ADDED')
      .map(({ line }) => line)
      .toSorted(),
    changed: ours
      .filter(({ type, kind }) => type === 'MODIFIED' && kind === 'Secret')
      .map(({ line }) => line),
  }
}
