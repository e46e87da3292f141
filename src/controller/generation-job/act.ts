import type { KubeClient } from '../../platform/kube/client.ts'
import { isAlreadyExists, isConflict, isNotFound } from '../../platform/kube/errors.ts'
import type { EventRecorder } from '../../platform/kube/events.ts'
import { createObject, deleteObject, getObject, patchStatus } from '../../platform/kube/objects.ts'
import { generationJobs, jobs, keyOf } from '../../platform/kube/resources.ts'
import { unreachable } from '../../shared/assert.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { AppError } from '../../shared/errors.ts'
import { ensureJobAccount } from '../job-account.ts'
import type { ControllerSettings } from '../settings.ts'
import type { Action } from './decision.ts'
import { attemptJob } from './job.ts'
import { attemptJobName } from './names.ts'
import type { PoolAssignments } from './pool-assignments.ts'
import { controllerOf } from './views.ts'
import type { WrittenVersions } from '../written-versions.ts'

export type ActParts = {
  readonly client: KubeClient
  readonly events: EventRecorder
  readonly settings: ControllerSettings
  readonly written: WrittenVersions
  readonly assignments: PoolAssignments
}

/** Does one step. Repeating it, or finding it done already, is success. */
export async function act(parts: ActParts, job: GenerationJob, action: Action): Promise<void> {
  switch (action.kind) {
    case 'CreateAttempt':
      return await createAttempt(parts, action)
    case 'WriteStatus':
      return await writeStatus(parts, job, action.patch)
    case 'DeleteAttempt':
      return await deleteAttempt(parts, job, action)
    case 'Assign':
      return parts.assignments.assign(keyOf(job), action.assignment)
    case 'CancelAssignment':
      return parts.assignments.cancel(keyOf(job), action.assignment)
    case 'DeleteJob':
      return await deleteJob(parts, job)
    case 'RecordEvent':
      return parts.events.record({ kind: generationJobs, object: job, ...action.event })
    default:
      return unreachable(action)
  }
}

type CreateAttempt = Extract<Action, { kind: 'CreateAttempt' }>

async function createAttempt(parts: ActParts, action: CreateAttempt): Promise<void> {
  const { client, settings } = parts
  await ensureJobAccount(client, action.job.metadata.namespace)
  try {
    await createObject(client, jobs, attemptJob({ ...action, settings }))
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    await checkOwner(client, action)
  }
}

/** The name is taken: fine when it is ours from before a crash. */
async function checkOwner(client: KubeClient, { job, number }: CreateAttempt): Promise<void> {
  const { uid, namespace } = job.metadata
  const name = attemptJobName(uid, number)
  const existing = await getObject(client, jobs, { namespace, name })
  if (controllerOf(existing)?.uid === uid) return
  const message = `Job ${namespace}/${name} exists but does not belong to this GenerationJob`
  throw new AppError('platform.misconfigured', message)
}

async function writeStatus(parts: ActParts, job: GenerationJob, patch: object): Promise<void> {
  const after = await patchStatus(parts.client, generationJobs, { object: job, status: patch })
  parts.written.note(keyOf(job), after)
}

type DeleteAttempt = Extract<Action, { kind: 'DeleteAttempt' }>

/**
 * In the foreground: the Job stays visible until its pod has ended. One that Kueue looks after
 * would stay until Kueue lets go of its Workload, for ever if that does not work any more.
 */
async function deleteAttempt(
  { client }: ActParts,
  job: GenerationJob,
  { name, uid, hasQuota }: DeleteAttempt,
): Promise<void> {
  const { namespace } = job.metadata
  const propagationPolicy = hasQuota === true ? 'Background' : 'Foreground'
  await ignoreGone(deleteObject(client, jobs, { namespace, name, uid, propagationPolicy }))
}

async function deleteJob({ client }: ActParts, job: GenerationJob): Promise<void> {
  const { namespace, name, uid } = job.metadata
  await ignoreGone(deleteObject(client, generationJobs, { namespace, name, uid }))
}

/** Gone, or another object has its name by now: either way the one meant is gone. */
async function ignoreGone(deletion: Promise<void>): Promise<void> {
  try {
    await deletion
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error
  }
}
