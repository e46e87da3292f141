import { createHash } from 'node:crypto'
import type { Database } from '../../../platform/mongo/database.ts'
import type { PictureHeader } from '../../../shared/domain/picture-header.ts'

/** A picture that somebody uploaded, to be an input of their jobs. `_id` is its artifact id. */
export type UploadedPicture = {
  readonly _id: string
  readonly key: string
  readonly owner: PictureOwner
  readonly sha256: string
  readonly sizeBytes: number
  readonly contentType: string
  readonly size: PictureHeader['size']
  readonly creationTimeMs: number
}

export type PictureOwner = { readonly department: string; readonly user: string }

export type InsertedPicture = { readonly picture: UploadedPicture; readonly isNew: boolean }

/** The only writer of `pictures`. */
export type PictureStore = {
  /** The document that is there afterwards: the first one, when the picture was uploaded before. */
  readonly insert: (picture: UploadedPicture) => Promise<InsertedPicture>
  readonly get: (artifactId: string) => Promise<UploadedPicture | null>
  /** True when it was there. */
  readonly remove: (artifactId: string) => Promise<boolean>
  /** Bytes of all pictures of one person. */
  readonly totalBytes: (userId: string) => Promise<number>
}

const perPage = 500

export function openPictureStore(database: Database): PictureStore {
  const pictures = database.documents<UploadedPicture>('pictures')
  return {
    insert: async (picture) => {
      if (await pictures.insert(picture)) return { picture, isNew: true }
      return { picture: (await pictures.findById(picture._id)) ?? picture, isNew: false }
    },
    get: async (artifactId) => await pictures.findById(artifactId),
    remove: async (artifactId) => await pictures.remove({ _id: artifactId }),
    totalBytes: async (userId) => {
      let total = 0
      for (let afterId = '', isMore = true; isMore;) {
        const filter = { 'owner.user': userId, _id: { $gt: afterId } }
        const page = await pictures.find(filter, { sort: { _id: 1 }, limit: perPage })
        total += page.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
        afterId = page.at(-1)?._id ?? afterId
        isMore = page.length === perPage
      }
      return total
    },
  }
}

/**
 * One id per owner and content: a picture that is sent again, because the answer was lost or for
 * the next job, is the same artifact.
 */
export function pictureIdOf({ department, user }: PictureOwner, sha256: string): string {
  const text = JSON.stringify([department, user, sha256])
  return `up-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}

export function isPictureId(artifactId: string): boolean {
  return /^up-[0-9a-f]{32}$/.test(artifactId)
}

export function pictureKeyOf({ department, user }: PictureOwner, artifactId: string): string {
  return `uploads/${department}/${user}/${artifactId}`
}
