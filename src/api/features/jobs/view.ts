import { artifactId, parseArtifactKey } from '../../../shared/domain/job-artifact.ts'
import { acceptedReason } from '../../../shared/domain/job-status.ts'
import { fetchSentence } from '../../../shared/domain/fetch-sentence.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { assert } from '../../../shared/assert.ts'
import type { Output } from '../../../shared/crd/generation-job.ts'
import type { JobView } from '../../../shared/wire/jobs.ts'
import type { JobRow } from './row.ts'

/** Makes a link to an object for the caller's browser. */
export type LinkObject = (key: string) => { readonly url: string; readonly expiresMs: number }

/** What people see of a job. */
export function toView(row: JobRow, linkObject: LinkObject): JobView {
  const { department, user } = row.owner
  return {
    id: row._id,
    task: row.task,
    model: row.model,
    owner: user === null ? { department } : { department, user },
    parameters: row.parameters,
    state: row.state,
    reason: row.reason,
    ...toConditions(row),
    progress: toProgress(row),
    outputs: row.outputs.map((output) => toArtifact(output, linkObject)),
    ...toKeeping(row),
    cost: toCost(row),
    revision: row.revision,
    creationTime: toTime(row.creationTimeMs),
    startTime: row.startTimeMs === null ? null : toTime(row.startTimeMs),
    completionTime: row.completionTimeMs === null ? null : toTime(row.completionTimeMs),
    resource: { namespace: row.resource.namespace, name: row.resource.name },
    urls: {
      self: `/v1/jobs/${row._id}`,
      events: `/v1/jobs/${row._id}/events`,
      cancel: `/v1/jobs/${row._id}/cancel`,
    },
  }
}

/** The answer to an accepted request, whenever it is asked for again. */
export function toAcceptedView(row: JobRow, linkObject: LinkObject): JobView {
  const accepted: JobRow = {
    ...row,
    ...acceptedReason,
    state: 'Pending',
    conditions: [],
    progress: null,
    outputs: [],
    keepUntilMs: null,
    outputsRemovedTimeMs: null,
    chargedMicroCredits: null,
    revision: acceptedRevision,
    startTimeMs: null,
    completionTimeMs: null,
  }
  return toView(accepted, linkObject)
}

/** A row is made with revision 1; being accepted is its first change. */
const acceptedRevision = 2

function toProgress({ progress }: JobRow): JobView['progress'] {
  if (progress === null) return null
  const { sequence: _sequence, attempt: _attempt, ...shown } = progress
  return shown
}

/** While the pod fetches its model, ModelReady says live how much of it is there. */
function toConditions({ reason, message, conditions, progress }: JobRow) {
  const live = progress?.fetch && fetchSentence(progress.fetch)
  if (live === undefined || !conditions.some(isLoading))
    return { message, conditions: [...conditions] }
  return {
    message: isLoading({ reason }) ? live : message,
    conditions: conditions.map((each) => (isLoading(each) ? { ...each, message: live } : each)),
  }
}

function isLoading({ reason }: { readonly reason: string }): boolean {
  return reason === 'ModelLoading'
}

function toArtifact(
  { key, ...output }: Output,
  linkObject: LinkObject,
): JobView['outputs'][number] {
  const name = parseArtifactKey(key)
  assert(name !== null, 'an output lies in the folder of its job')
  const { url, expiresMs } = linkObject(key)
  return { ...output, id: artifactId(name), url, urlExpiresTime: toTime(expiresMs) }
}

function toCost({ price, chargedMicroCredits }: JobRow): JobView['cost'] {
  const charged = chargedMicroCredits === null ? null : formatCredits(chargedMicroCredits)
  return { held: formatCredits(price.microCredits), charged, basis: price.basis ?? null }
}

/** Until when there are links, or since when there are none any more. */
function toKeeping({ keepUntilMs = null, outputsRemovedTimeMs = null }: JobRow) {
  const isKept = keepUntilMs !== null && outputsRemovedTimeMs === null
  return {
    outputsExpireTime: isKept ? toTime(keepUntilMs) : null,
    outputsRemovedTime: outputsRemovedTimeMs === null ? null : toTime(outputsRemovedTimeMs),
  }
}

function toTime(ms: number): string {
  return new Date(ms).toISOString()
}
