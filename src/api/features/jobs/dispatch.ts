import type { KubeClient } from '../../../platform/kube/client.ts'
import {
  isAlreadyExists,
  isConflict,
  isInvalid,
  isNotFound,
} from '../../../platform/kube/errors.ts'
import { createObject, getObject, mergePatch } from '../../../platform/kube/objects.ts'
import { generationJobs } from '../../../platform/kube/resources.ts'
import {
  type GenerationJob,
  type GenerationJobSpec,
  generationJobSpec,
} from '../../../shared/crd/generation-job.ts'
import { annotations } from '../../../shared/names.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { AccountService } from '../accounts/service.ts'
import type { JobEvents } from './events.ts'
import { holdStateOf } from './finish.ts'
import { isTerminal, type JobRow } from './row.ts'
import { type JobStore, openStates } from './store.ts'

export type DispatchDeps = {
  readonly store: JobStore
  readonly accounts: AccountService
  readonly kube: KubeClient
  readonly events: JobEvents
  readonly clock: Clock
}

/**
 * The fourth step of a job: the custom resource by its deterministic name, then its uid in the row.
 * Safe to repeat and to run twice at once; a row with a uid is never dispatched again.
 */
export async function dispatchJob(deps: DispatchDeps, jobId: string): Promise<void> {
  const row = await deps.store.get(jobId)
  if (row === null || !isDispatchable(row)) return
  const made = await createOrAdopt(deps.kube, row)
  if (made.kind === 'Refused') return await refuse(deps, row, made.message)
  const recorded = await recordUid(deps.store, row, made.object.metadata.uid)
  if (recorded?.cancelRequested === true) await sendCancel(deps, recorded)
}

/** Notes which custom resource belongs to a row; null when that is known already. */
export async function recordUid(store: JobStore, row: JobRow, uid: string): Promise<JobRow | null> {
  return await store.change(row._id, { uid: null, states: openStates }, { uid })
}

/** Takes a wish to cancel to the custom resource; one that is gone is left to the comparison. */
export async function sendCancel(deps: DispatchDeps, row: JobRow): Promise<void> {
  const { uid, ...ref } = row.resource
  if (uid === null || row.cancelSent || isTerminal(row.state)) return
  try {
    const patch = { metadata: { uid }, spec: { cancel: true } }
    await mergePatch(deps.kube, generationJobs, { ...ref, patch })
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error
  }
  await deps.store.change(row._id, { cancelSent: false }, { cancelSent: true })
}

function isDispatchable(row: JobRow): boolean {
  const { source, state, hold, resource } = row
  return source === 'Api' && state === 'Pending' && hold === 'Held' && resource.uid === null
}

type Made =
  | { readonly kind: 'Made'; readonly object: GenerationJob }
  | { readonly kind: 'Refused'; readonly message: string }

async function createOrAdopt(kube: KubeClient, row: JobRow): Promise<Made> {
  const { namespace, name } = row.resource
  try {
    const metadata = { namespace, name, annotations: { [annotations.jobId]: row._id } }
    const object = await createObject(kube, generationJobs, { metadata, spec: toSpec(row) })
    return { kind: 'Made', object }
  } catch (error) {
    if (isInvalid(error)) return { kind: 'Refused', message: error.message }
    if (!isAlreadyExists(error)) throw error
  }
  const object = await getObject(kube, generationJobs, { namespace, name })
  if (object.spec.jobId === row._id) return { kind: 'Made', object }
  return { kind: 'Refused', message: `another GenerationJob has the name ${namespace}/${name}` }
}

/** Only what the row decides: the schema's defaults fill in the rest. */
function toSpec(row: JobRow): GenerationJobSpec {
  const { department, user } = row.owner
  return generationJobSpec.parse({
    jobId: row._id,
    owner: user === null ? { department } : { department, user, ...limitsOf(row) },
    task: row.task,
    modelRef: { name: row.model },
    parameters: row.parameters,
    ...(row.inputs.length === 0 ? {} : { inputs: [...row.inputs] }),
    priority: row.priority,
    cancel: row.cancelRequested,
  })
}

/** The controller keeps the person's running cap; the waiting one is kept before the row is. */
function limitsOf({ limits }: JobRow) {
  if (limits === undefined || limits === null) return {}
  return { limits: { runningJobs: limits.runningJobs } }
}

/** The API server will never take this object: the hold goes back and the job ends. */
async function refuse(deps: DispatchDeps, row: JobRow, text: string): Promise<void> {
  const outcome = await deps.accounts.void(row.accountId, row._id)
  const change = {
    state: 'Failed',
    reason: 'InvalidInput',
    message: text.slice(0, 1024),
    hold: holdStateOf(outcome),
    chargedMicroCredits: 0,
    completionTimeMs: deps.clock.nowMs(),
  } as const
  const ended = await deps.store.change(row._id, { uid: null, states: ['Pending'] }, change)
  if (ended !== null) deps.events.publish({ jobId: row._id, revision: ended.revision }, row.owner)
}
