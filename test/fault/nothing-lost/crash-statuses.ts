import { expect } from 'vitest'
import { findCondition } from '../../../src/controller/conditions.ts'
import {
  createObject,
  deleteObject,
  getObject,
  listObjects,
  mergePatch,
} from '../../../src/platform/kube/objects.ts'
import {
  departments,
  models,
  namespaces,
  type ResourceKind,
} from '../../../src/platform/kube/resources.ts'
import type { KubeObject } from '../../../src/platform/kube/types.ts'
import type { Model, ModelSpec } from '../../../src/shared/crd/model.ts'
import type { Department } from '../../../src/shared/crd/department.ts'
import { labels } from '../../../src/shared/names.ts'
import { createWorld, modelSpec, type World } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import type { Played, Scenario, Stage } from './crash-kills.ts'
import { startCount } from './crash-lanes.ts'
import { outlive } from './crash-lives.ts'
import { Witness, type WitnessOptions } from './witness.ts'

/** Where Models and Departments are played, of which the controller writes the status only. */
export type StatusLane = Stage & { readonly nextNumber: () => number; readonly witness: Witness }

/** The object of one play. */
type StatusPlay = { readonly lane: StatusLane; readonly name: string }

/** One way through the life of an object, by its condition Ready. */
export type StatusScenario = Scenario & {
  readonly kind: 'Model' | 'Department'
  readonly act: (play: StatusPlay) => Promise<void>
}

/**
 * To be alone: these kinds belong to the whole cluster, and every controller that lives would do
 * what one that was killed did not.
 */
export async function openStatusLane(): Promise<StatusLane> {
  const world = await createWorld({ gpus: [] })
  const isOurs: WitnessOptions['isOurs'] = ({ metadata }) =>
    metadata.name.startsWith(world.namespace)
  const witness = await Witness.open({ client: world.admin, isOurs })
  return {
    world,
    witness,
    nextNumber: startCount(),
    scene: {
      facts: async () =>
        await Promise.resolve({
          jobs: [],
          ledgerSum: 0,
          repeated: witness.repeated,
          left: witness.left(),
        }),
      writes: async () => await Promise.resolve([witness.changes, world.writes]),
    },
    close: async () => {
      await witness.close()
      await removeAll(world)
      await world.close()
    },
  }
}

export const statusScenarios: readonly StatusScenario[] = [
  {
    kind: 'Department',
    name: 'a Department whose namespace comes, changes hands, comes back and goes',
    act: async (play) => {
      const { lane, name } = play
      const { admin } = lane.world
      const give = async (owner: string) => {
        const patch = { metadata: { labels: { [labels.department]: owner } } }
        await mergePatch(admin, namespaces, { name, patch })
      }
      const spec = { displayName: 'test', weight: 100, namespace: name, managedBy: 'api' } as const
      await createObject(admin, departments, { metadata: { name }, spec })
      await untilDepartment(play, 'False/NamespaceMissing')
      await createObject(admin, namespaces, { metadata: { name } })
      await untilDepartment(play, 'True/Ready')
      await give('another')
      await untilDepartment(play, 'False/NamespaceForeign')
      await mergePatch(admin, departments, { name, patch: { spec: { weight: 50 } } })
      await untilDepartment(play, 'False/NamespaceForeign')
      await give(name)
      await untilDepartment(play, 'True/Ready')
      await deleteObject(admin, namespaces, { name })
      await untilDepartment(play, 'False/NamespaceMissing')
    },
    end: 'False/NamespaceMissing',
  },
  {
    kind: 'Model',
    name: 'a Model that changes, and one of its name that cannot be delivered',
    act: async (play) => {
      const { admin } = play.lane.world
      const { name } = play
      await createModel(play, {})
      await untilModel(play, 'True/Ready')
      const patch = { spec: { price: { perImageMicroCredits: 2000 } } }
      await mergePatch(admin, models, { name, patch })
      await untilModel(play, 'True/Ready')
      await deleteObject(admin, models, { name })
      const delivery = { type: 'Fetch', fetch: { url: 's3://bucket/demo' } } as const
      await createModel(play, { delivery, digest: 'a1'.repeat(32) })
      await untilModel(play, 'False/DeliveryUnsupported')
    },
    end: 'False/DeliveryUnsupported',
  },
]

/** Plays a scenario. Whoever follows writes nothing that was written before. */
export async function playStatus(
  lane: StatusLane,
  scenario: StatusScenario,
  deaths: readonly number[],
): Promise<Played> {
  const name = `${lane.world.namespace}-${lane.nextNumber()}`
  const play = { lane, name }
  const counts = (path: string) => path.includes(`/${name}/`)
  const { result, writes } = await outlive(lane.world, { deaths, counts }, async () => {
    await scenario.act(play)
    return await endOf(play, scenario)
  })
  return { end: result, writes }
}

async function endOf({ lane, name }: StatusPlay, { kind }: StatusScenario) {
  const { admin } = lane.world
  const object =
    kind === 'Model'
      ? await getObject(admin, models, { name })
      : await getObject(admin, departments, { name })
  return await eventually(() => {
    const seen = lane.witness.changes.map((line) => line.split(' '))
    const ours = seen.filter(([, its, key]) => its === kind && key === name)
    // The witness may be a moment behind.
    expect(ours.at(-1)?.[3]).toBe(object.metadata.resourceVersion)
    return { verdict: verdictOf(object), changes: ours.map(([type]) => type) }
  })
}

/** Not before it is said about the newest spec. */
function verdictOf({ metadata, status }: Model | Department): string {
  const ready = findCondition(status?.conditions, 'Ready')
  const { generation } = metadata
  const isNew =
    status?.observedGeneration === generation && ready?.observedGeneration === generation
  return isNew ? `${ready?.status}/${ready?.reason}` : 'not observed'
}

async function untilModel({ lane, name }: StatusPlay, expected: string): Promise<void> {
  await eventually(async () => {
    expect(verdictOf(await getObject(lane.world.admin, models, { name }))).toBe(expected)
  })
}

async function untilDepartment({ lane, name }: StatusPlay, expected: string): Promise<void> {
  await eventually(async () => {
    expect(verdictOf(await getObject(lane.world.admin, departments, { name }))).toBe(expected)
  })
}

async function createModel({ lane, name }: StatusPlay, spec: Partial<ModelSpec>): Promise<void> {
  await createObject(lane.world.admin, models, { metadata: { name }, spec: modelSpec(spec) })
}

const playedKinds: readonly ResourceKind<KubeObject>[] = [models, departments]

/** The world takes away what it has made itself. */
async function removeAll({ admin, namespace }: World): Promise<void> {
  for (const kind of playedKinds) {
    for (const { metadata } of await listObjects(admin, kind)) {
      const isPlayed = metadata.name.startsWith(`${namespace}-`)
      if (isPlayed) await deleteObject(admin, kind, { name: metadata.name })
    }
  }
}
