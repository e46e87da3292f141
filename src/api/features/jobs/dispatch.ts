import type { KubeClient } from '../../../platform/kube/client.ts'
import {
  isAlreadyExists,
  isForbidden,
  isInvalid,
  isNotFound,
} from '../../../platform/kube/errors.ts'
import { createObject, getObject, mergePatch } from '../../../platform/kube/objects.ts'
import { generationJobs } from '../../../platform/kube/resources.ts'
import { generationJobReasons } from '../../../shared/crd/conditions.ts'
import {
  type GenerationJob,
  type GenerationJobSpec,
  generationJobSpec,
} from '../../../shared/crd/generation-job.ts'
import type { StatusFacts } from '../../../shared/domain/job-status.ts'
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
  if (made.kind === 'Never') return await endUnmade(deps, row, made.ending)
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
    if (!(await needsNoCancel(deps.kube, row))) throw error
  }
  await deps.store.change(row._id, { cancelSent: false }, { cancelSent: true })
}

/** What is there decides: one error says that the uid differs, another that the object was busy. */
async function needsNoCancel(kube: KubeClient, { resource }: JobRow): Promise<boolean> {
  const object = await findResource(kube, resource)
  return object === null || object.metadata.uid !== resource.uid || object.spec.cancel
}

async function findResource(
  kube: KubeClient,
  { namespace, name }: JobRow['resource'],
): Promise<GenerationJob | null> {
  try {
    return await getObject(kube, generationJobs, { namespace, name })
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
}

function isDispatchable(row: JobRow): boolean {
  const { source, state, hold, resource } = row
  return source === 'Api' && state === 'Pending' && hold === 'Held' && resource.uid === null
}

type Made =
  | { readonly kind: 'Made'; readonly object: GenerationJob }
  | { readonly kind: 'Never'; readonly ending: StatusFacts }

async function createOrAdopt(kube: KubeClient, row: JobRow): Promise<Made> {
  const { namespace, name } = row.resource
  try {
    const metadata = { namespace, name, annotations: { [annotations.jobId]: row._id } }
    const object = await createObject(kube, generationJobs, { metadata, spec: toSpec(row) })
    return { kind: 'Made', object }
  } catch (error) {
    if (isInvalid(error)) return refused(error.message)
    const isAbsent = isNotFound(error) || isForbidden(error)
    if (!isAbsent && !isAlreadyExists(error)) throw error
    return (await adopt(kube, row)) ?? cancelUnmade(row, error)
  }
}

/** Also where the namespace takes no more: it says so before it sees that the name is taken. */
async function adopt(kube: KubeClient, { _id, resource }: JobRow): Promise<Made | null> {
  const object = await findResource(kube, resource)
  if (object === null) return null
  if (object.spec.jobId === _id) return { kind: 'Made', object }
  const { namespace, name } = resource
  return refused(`another GenerationJob has the name ${namespace}/${name}`)
}

/** The API server will never take this object. */
function refused(text: string): Made {
  const message = text.slice(0, 1024)
  return { kind: 'Never', ending: { state: 'Failed', reason: 'InvalidInput', message } }
}

/**
 * A namespace that is missing or full may be fine later, so that is tried again; but nobody has to
 * wait for it with a job that they want cancelled.
 */
function cancelUnmade({ cancelRequested }: JobRow, error: Error): Made {
  if (!cancelRequested) throw error
  const { Cancelled: message } = generationJobReasons.Succeeded
  return { kind: 'Never', ending: { state: 'Cancelled', reason: 'Cancelled', message } }
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
    execution: row.execution,
    cancel: row.cancelRequested,
  })
}

/** The controller keeps the person's running cap; the waiting one is kept before the row is. */
function limitsOf({ limits }: JobRow) {
  if (limits === undefined || limits === null) return {}
  return { limits: { runningJobs: limits.runningJobs } }
}

/** Without a custom resource: the hold goes back and the job ends. */
async function endUnmade(deps: DispatchDeps, row: JobRow, ending: StatusFacts): Promise<void> {
  const outcome = await deps.accounts.void(row.accountId, row._id)
  const change = {
    ...ending,
    hold: holdStateOf(outcome),
    chargedMicroCredits: 0,
    completionTimeMs: deps.clock.nowMs(),
  } as const
  const ended = await deps.store.change(row._id, { uid: null, states: ['Pending'] }, change)
  if (ended !== null) deps.events.publish({ jobId: row._id, revision: ended.revision }, row.owner)
}
