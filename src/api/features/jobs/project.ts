import type { GenerationJob, GenerationJobStatus } from '../../../shared/crd/generation-job.ts'
import { canonicalJson } from '../../../shared/domain/canonical-json.ts'
import { describeStatus } from '../../../shared/domain/job-status.ts'
import { countImages } from '../../../shared/domain/price.ts'
import { type Ending, type FinishDeps, finishJob } from './finish.ts'
import { newAppliedRow } from './new-row.ts'
import { isTerminal, type JobRow } from './row.ts'
import { type JobChange, openStates } from './store.ts'

type AttemptStatus = NonNullable<GenerationJobStatus['attempt']>

/** The id under which everything about a job is kept. */
export function jobIdOf(job: GenerationJob): string {
  return job.spec.jobId ?? job.metadata.uid
}

/**
 * Takes what a custom resource says into its row. Total and repeatable: it looks at both and never
 * at what happened between. An ended row never changes again.
 */
export async function projectJob(deps: FinishDeps, job: GenerationJob, nowMs: number) {
  const row = (await deps.store.get(jobIdOf(job))) ?? (await adoptEnded(deps, job, nowMs))
  if (row === null || isTerminal(row.state) || !belongsTo(row, job)) return
  const view = observe(job, nowMs)
  if (isTerminal(view.state)) {
    await finishJob(deps, row, view)
    return
  }
  await update(deps, row, { ...view, uid: job.metadata.uid })
}

/** A row knows one custom resource; before that, the one with its name and job id. */
function belongsTo({ _id, resource }: JobRow, job: GenerationJob): boolean {
  const { uid, name, namespace } = job.metadata
  if (resource.uid !== null) return resource.uid === uid
  return job.spec.jobId === _id && resource.name === name && resource.namespace === namespace
}

function observe({ status, metadata }: GenerationJob, nowMs: number): Ending {
  const { conditions = [], outputs = [], attempt, startTime, completionTime } = status ?? {}
  const endedMs = toMs(completionTime) ?? Math.max(nowMs, Date.parse(metadata.creationTimestamp))
  return {
    ...describeStatus(status),
    conditions,
    attempt: toAttempt(attempt),
    startTimeMs: toMs(startTime),
    completionTimeMs: endedMs,
    outputs,
  }
}

function toAttempt(attempt: AttemptStatus | undefined): JobRow['attempt'] {
  if (attempt === undefined) return null
  const { number, podUID = null, outcome } = attempt
  return { number, podUID, ...(outcome === undefined ? {} : { outcome }) }
}

async function update(deps: FinishDeps, row: JobRow, seen: Ending & { readonly uid: string }) {
  const { state, reason, message, conditions, attempt, startTimeMs } = seen
  const change = { state, reason, message, conditions, attempt, startTimeMs, missingTimeMs: null }
  if (row.resource.uid !== null && isKnown(row, change)) return
  // Only while the row is what was compared: a newer change is compared anew by whoever made it.
  const guard = { states: openStates, revision: row.revision }
  const changed = await deps.store.change(row._id, guard, { ...change, uid: seen.uid })
  if (changed === null) throw new Error('the row changed meanwhile; it is projected again')
  deps.events.publish({ jobId: changed._id, revision: changed.revision }, changed.owner)
}

function isKnown(row: JobRow, change: JobChange): boolean {
  const { state, reason, message, conditions, attempt, startTimeMs, missingTimeMs } = row
  const known = { state, reason, message, conditions, attempt, startTimeMs, missingTimeMs }
  return canonicalJson(known) === canonicalJson(change)
}

/** A job of kubectl that ended before anybody asked for its hold still belongs in the history. */
async function adoptEnded({ store }: FinishDeps, job: GenerationJob, nowMs: number) {
  const { spec, metadata } = job
  const isOurs = spec.jobId !== undefined || metadata.namespace === undefined
  if (isOurs || !isTerminal(describeStatus(job.status).state)) return null
  const row = newAppliedRow({
    uid: metadata.uid,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    spec,
    parameters: spec.parameters,
    inputs: spec.inputs ?? [],
    // It never had a hold, so it never had a price.
    price: { microCredits: 0, images: countImages(spec.parameters) },
    refusal: null,
    nowMs,
  })
  await store.insert(row)
  return await store.get(row._id)
}

function toMs(time: string | undefined): number | null {
  return time === undefined ? null : Date.parse(time)
}
