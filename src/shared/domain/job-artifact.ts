/**
 * One stored output of a job. Its id is public and stable, its key says where the bytes lie; each
 * can be computed from the other, so no table maps them.
 */
export type ArtifactName = {
  readonly jobId: string
  readonly attempt: number
  readonly name: string
}

const idPattern = /^([0-9a-z-]{26,36})\.([1-9][0-9]{0,3})\.([a-z0-9][a-z0-9._-]{0,127})$/
const keyPattern =
  /^artifacts\/([0-9a-z-]{26,36})\/([1-9][0-9]{0,3})\/([a-z0-9][a-z0-9._-]{0,127})$/

/** The folder of one job, over all attempts. Ends in a slash. */
export function jobPrefix(jobId: string): string {
  return `artifacts/${jobId}/`
}

/** The folder of one attempt: a pod may write nowhere else. Ends in a slash. */
export function attemptPrefix(jobId: string, attempt: number): string {
  return `${jobPrefix(jobId)}${attempt}/`
}

/** Object key: `artifacts/<jobId>/<attempt>/<name>`. */
export function artifactKey(artifact: ArtifactName): string {
  return `${attemptPrefix(artifact.jobId, artifact.attempt)}${artifact.name}`
}

/** Public id: `<jobId>.<attempt>.<name>`, one path segment of a URL. */
export function artifactId(artifact: ArtifactName): string {
  return `${artifact.jobId}.${artifact.attempt}.${artifact.name}`
}

/** Null when the text is not the id of an artifact. */
export function parseArtifactId(id: string): ArtifactName | null {
  return parse(idPattern, id)
}

/** Null when the key lies elsewhere, for example among imports. */
export function parseArtifactKey(key: string): ArtifactName | null {
  return parse(keyPattern, key)
}

function parse(pattern: RegExp, text: string): ArtifactName | null {
  const [, jobId, attempt, name] = pattern.exec(text) ?? []
  if (jobId === undefined || attempt === undefined || name === undefined) return null
  return { jobId, attempt: Number(attempt), name }
}
