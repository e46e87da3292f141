/** Who pays for a job; without `user` the department itself. */
export type Owned = { readonly department: string; readonly user?: string | undefined }

/** A department's own jobs, without a user, are one owner of their own. */
export function ownerKey({ department, user = '' }: Owned): string {
  return `${department}/${user}`
}

/**
 * What a job counts for where GPUs are compared. Work on processors alone counts as one: else
 * its owner would always be first.
 */
export function countedGpus(gpus: number): number {
  return gpus > 0 ? gpus : 1
}
