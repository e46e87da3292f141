import { pipeline, Readable } from 'node:stream'
import type { ObjectStore, StoredObject } from '../../../platform/objects/store.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import {
  type PictureHeader,
  pictureLimits,
  type PictureType,
} from '../../../shared/domain/picture-header.ts'
import { AppError, isAppError } from '../../../shared/errors.ts'
import type { Artifact } from '../../../shared/wire/jobs.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import { type OwnerLimitParts, readOwnerLimits } from '../limits/owner-limits.ts'
import type { LinkObject } from '../jobs/view.ts'
import { findPicture } from './find-picture.ts'
import { openPictureGate } from './picture-gate.ts'
import {
  isPictureId,
  pictureIdOf,
  pictureKeyOf,
  type PictureOwner,
  type PictureStore,
  type UploadedPicture,
} from './picture-store.ts'
import type { UploadUsageStore } from './upload-usage.ts'
import { toPictureView } from './views.ts'

export type UploadRequest = {
  /** As the client announces it; the bytes must be of this type. */
  readonly contentType: PictureType
  /** `Content-Length`, where there is one. */
  readonly sizeBytes: number | undefined
  readonly body: Readable
}

export type UploadService = {
  /**
   * Stores a picture for its owner's jobs; the same bytes again give the same artifact.
   * Errors: `request.invalid` for what is no picture, `request.too_large`, `rate.limited`,
   * `limit.upload_quota` (details `limit`, `used`, `size` in bytes).
   */
  readonly upload: (caller: Caller, request: UploadRequest) => Promise<Artifact>
  /** Errors: `artifact.not_found`; `artifact.kept` for an output of a job. */
  readonly remove: (caller: Caller, artifactId: string) => Promise<void>
}

export type UploadParts = OwnerLimitParts & {
  readonly pictures: PictureStore
  readonly uploadUsage: UploadUsageStore
  readonly objects: Pick<ObjectStore, 'add' | 'delete'>
  readonly linkObject: LinkObject
  readonly people: { readonly trail: Pick<AuditTrail, 'append'> }
}

/** Each one holds up to 1 MiB of memory and a connection. */
const runningMax = 32
const retryAfterSeconds = 5
const { fileBytesMax } = pictureLimits

export function createUploadService(parts: UploadParts): UploadService {
  let running = 0
  return {
    upload: async (caller, request) => {
      requirePermission(caller, 'artifacts.create')
      if (running >= runningMax) throw tooMany(running)
      if ((request.sizeBytes ?? 0) > fileBytesMax) throw tooLarge()
      running += 1
      try {
        return await store(parts, caller, request)
      } finally {
        running -= 1
      }
    },
    remove: async (caller, artifactId) => {
      requirePermission(caller, 'artifacts.delete')
      if (!isPictureId(artifactId)) throw keptArtifact()
      await remove(parts, caller, await findPicture(parts.pictures, caller, artifactId))
    },
  }
}

/** The document first: what is left after a crash is bytes that nobody can see. */
async function remove(parts: UploadParts, caller: Caller, picture: UploadedPicture): Promise<void> {
  const { _id: id, owner, key, sizeBytes } = picture
  // Of several requests at once one removes it, and only that one has done something to tell.
  const isOurs = await parts.pictures.remove(id)
  if (isOurs) {
    const target = { kind: 'artifact', id, department: owner.department }
    await parts.people.trail.append(caller, { action: 'artifact.deleted', target })
  }
  await parts.objects.delete(key)
  if (isOurs) await parts.uploadUsage.release(owner.user, sizeBytes)
}

async function store(parts: UploadParts, caller: Caller, request: UploadRequest) {
  const owner = { department: caller.department, user: caller.userId }
  const gate = openPictureGate(request.contentType)
  const source = Readable.from(request.body.iterator({ destroyOnReturn: false }))
  const room = openRoom(parts, owner)
  // What goes wrong here destroys the gate, and with it the writing below.
  pipeline(source, gate.check, ignore)
  const object = await parts.objects
    .add(gate.check, {
      contentType: request.contentType,
      sizeBytesMax: fileBytesMax,
      keyOf: async (facts) => pictureKeyOf(owner, await room.take(facts)),
    })
    .catch(async (error: unknown) => {
      // The rest is read and forgotten, or the client would never read our answer.
      request.body.resume()
      await room.giveBack()
      throw request.body.destroyed && !isAppError(error) ? brokenBody(error) : error
    })
  const { picture, isNew } = await parts.pictures.insert({
    ...describe(object, gate.header()),
    _id: pictureIdOf(owner, object.sha256),
    owner,
    creationTimeMs: parts.clock.nowMs(),
  })
  await room.settle({ isNew, sizeBytes: picture.sizeBytes })
  return toPictureView(picture, parts.linkObject)
}

/**
 * The part of a person's quota that one upload takes, before its bytes can be seen. A picture that
 * is there already is free.
 */
function openRoom({ pictures, uploadUsage, ...parts }: UploadParts, owner: PictureOwner) {
  let takenBytes = 0
  const giveBack = async (): Promise<void> => {
    if (takenBytes > 0) await uploadUsage.release(owner.user, takenBytes)
    takenBytes = 0
  }
  return {
    take: async ({ sha256, sizeBytes }: Pick<StoredObject, 'sha256' | 'sizeBytes'>) => {
      const id = pictureIdOf(owner, sha256)
      if ((await pictures.get(id)) !== null) return id
      const { caps } = await readOwnerLimits(parts, owner.user)
      const quotaBytes = caps.uploadQuotaBytes
      const outcome = await uploadUsage.reserve(owner.user, { sizeBytes, quotaBytes })
      if (outcome.kind === 'OverQuota') {
        throw overQuota({ limit: quotaBytes, used: outcome.usedBytes, size: sizeBytes })
      }
      takenBytes = sizeBytes
      return id
    },
    giveBack,
    /** The same bytes may have come, or gone, by another request at the same time. */
    settle: async ({
      isNew,
      sizeBytes,
    }: {
      readonly isNew: boolean
      readonly sizeBytes: number
    }) => {
      if (!isNew) await giveBack()
      else if (takenBytes === 0) await uploadUsage.add(owner.user, sizeBytes)
    },
  }
}

function describe(
  { key, sha256, sizeBytes, contentType }: StoredObject,
  header: PictureHeader | null,
) {
  return { key, sha256, sizeBytes, contentType, size: header?.size ?? null }
}

function ignore(): void {}

function brokenBody(cause: unknown): AppError {
  return new AppError('request.invalid', 'the body broke off', { cause })
}

function tooLarge(): AppError {
  return new AppError('request.too_large', `a picture has at most ${fileBytesMax} bytes`)
}

function overQuota(details: {
  readonly limit: number
  readonly used: number
  readonly size: number
}): AppError {
  const { limit, used, size } = details
  const message = `your pictures have ${used} bytes and this one ${size}; ${limit} are allowed`
  return new AppError('limit.upload_quota', message, { details })
}

function tooMany(count: number): AppError {
  const details = { limit: runningMax, count }
  const message = 'too many pictures are being uploaded; try again soon'
  return new AppError('rate.limited', message, { details, retryAfterSeconds })
}

function keptArtifact(): AppError {
  return new AppError('artifact.kept', 'only uploaded pictures can be deleted')
}
