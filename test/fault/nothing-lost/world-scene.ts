import { keyOf } from '../../../src/platform/kube/resources.ts'
import { isTerminalStatus } from '../../../src/shared/domain/job-status.ts'
import type { FakePoolPods } from '../../integration/controller/fake-pool-pods.ts'
import type { World } from '../../integration/controller/world.ts'
import type { Facts, JobFacts, Scene } from './audit.ts'
import { type SeenJob, Witness } from './witness.ts'

export type WorldScene = Scene & {
  /** To be told before somebody deletes this job: nobody else may make it go before its end. */
  readonly willBeDeleted: (name: string) => void
  readonly close: () => Promise<void>
}

/**
 * Watches a world; to be opened before its first job. A world has no ledger: a hold is counted when
 * the fake api has given one, and its ending for each verdict that the real api would have booked,
 * the deletion of an open job included.
 */
export async function watchWorld(world: World, pods?: FakePoolPods): Promise<WorldScene> {
  const { admin: client, namespace } = world
  const isOurs = (object: Parameters<typeof keyOf>[0]) =>
    object.metadata.namespace === namespace || object.metadata.name === world.model
  const witness = await Witness.open({ client, namespace, isOurs })
  const deletions = new Set<string>()
  return {
    facts: async () => await Promise.resolve(factsOf({ world, witness, deletions }, pods)),
    writes: async () => {
      const own = world.writes.filter((line) => !isOfOtherModel(line, world))
      return await Promise.resolve([witness.changes, own])
    },
    willBeDeleted: (name) => deletions.add(name),
    close: witness.close,
  }
}

/** Models belong to the whole cluster: every controller looks after those of all worlds. */
export function isOfOtherModel(line: string, { namespace }: World): boolean {
  const name = /\/models\/([^/]+)\//.exec(line)?.[1]
  return name !== undefined && !name.startsWith(namespace)
}

type Watched = {
  readonly world: World
  readonly witness: Witness
  readonly deletions: ReadonlySet<string>
}

function factsOf({ world, witness, deletions }: Watched, pods: FakePoolPods | undefined): Facts {
  const jobs = [...witness.jobs.values()].map((seen) => jobFacts({ world, deletions }, seen))
  return {
    jobs,
    ledgerSum: jobs.reduce((sum, { holds, endings }) => sum + Math.abs(holds - endings), 0),
    repeated: [...witness.repeated, ...(pods?.violations() ?? []), ...begunTwice(pods)],
    left: [...witness.left(), ...(pods?.running() ?? []).map((run) => `${run} keeps its slot`)],
  }
}

function jobFacts({ world, deletions }: Omit<Watched, 'witness'>, seen: SeenJob): JobFacts {
  const { newest, isGone, verdicts, outputs } = seen
  const isDeleted = isGone && deletions.has(newest.metadata.name)
  const isHeld = world.api.held.has(newest.spec.jobId ?? newest.metadata.uid)
  const endings = Math.max(verdicts.size, isDeleted ? 1 : 0)
  return {
    name: keyOf(newest),
    fate: isTerminalStatus(newest.status) || isDeleted ? 'Ended' : isGone ? 'Missing' : 'Open',
    verdicts: [...verdicts],
    resultSets: outputs.size,
    holds: isHeld ? 1 : 0,
    endings: isHeld ? endings : 0,
  }
}

function begunTwice(pods: FakePoolPods | undefined): readonly string[] {
  const begun = pods?.begun() ?? []
  return begun
    .filter((one, index) => begun.indexOf(one) !== index)
    .map((one) => `${one} began twice`)
}
