import type { Readable } from 'node:stream'
import type { ObjectStore, StoredObject } from '../../../platform/objects/store.ts'
import { verifySignedUrl } from '../../../platform/objects/signed-url.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { parseArtifactId } from '../../../shared/domain/job-artifact.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError, isAppError } from '../../../shared/errors.ts'
import type { Artifact } from '../../../shared/wire/jobs.ts'
import type { JobService } from '../jobs/service.ts'
import type { LinkObject } from '../jobs/view.ts'
import { findPicture } from './find-picture.ts'
import { isPictureId, type PictureStore } from './picture-store.ts'
import { toPictureView, unknownArtifact } from './views.ts'

export type ArtifactService = {
  /** What is known of an artifact, with a fresh link. Throws `artifact.not_found`. */
  readonly get: (caller: Caller, artifactId: string) => Promise<Artifact>
  /**
   * The bytes behind a signed link: who holds the link may read, so there is no caller.
   * Throws `object.url_invalid` or `object.not_found`.
   */
  readonly open: (
    key: string,
    query: Readonly<Record<string, string>>,
  ) => Promise<StoredObject & { readonly bytes: Readable }>
}

export type ArtifactParts = {
  readonly jobs: Pick<JobService, 'snapshot'>
  readonly pictures: Pick<PictureStore, 'get'>
  readonly linkObject: LinkObject
  readonly objects: Pick<ObjectStore, 'get'>
  readonly urlKey: Uint8Array
  readonly clock: Clock
}

export function createArtifactService(parts: ArtifactParts): ArtifactService {
  const { objects, urlKey, clock } = parts
  return {
    get: async (caller, artifactId) => {
      requirePermission(caller, 'artifacts.read')
      const read = isPictureId(artifactId) ? readPicture : readOutput
      return await read(parts, caller, artifactId)
    },
    open: async (key, query) => {
      verifySignedUrl({ method: 'GET', key, query }, { secret: urlKey, clock })
      const object = await objects.get(key)
      if (object === null) throw new AppError('object.not_found', 'the object was removed')
      return object
    },
  }
}

async function readPicture(parts: ArtifactParts, caller: Caller, artifactId: string) {
  return toPictureView(await findPicture(parts.pictures, caller, artifactId), parts.linkObject)
}

async function readOutput({ jobs }: ArtifactParts, caller: Caller, artifactId: string) {
  const name = parseArtifactId(artifactId)
  if (name === null) throw unknownArtifact(artifactId)
  const job = await jobs.snapshot(caller, name.jobId).catch((error: unknown) => {
    throw isAppError(error, 'job.not_found') ? unknownArtifact(artifactId) : error
  })
  const found = job.outputs.find(({ id }) => id === artifactId)
  if (found === undefined) throw unknownArtifact(artifactId)
  return found
}
