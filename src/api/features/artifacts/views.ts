import { AppError } from '../../../shared/errors.ts'
import type { Artifact } from '../../../shared/wire/jobs.ts'
import type { LinkObject } from '../jobs/view.ts'
import type { UploadedPicture } from './picture-store.ts'

const endings: Readonly<Record<string, string>> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/webp': 'webp',
}

export function toPictureView(picture: UploadedPicture, linkObject: LinkObject): Artifact {
  const { _id: id, key, sha256, sizeBytes, contentType, size } = picture
  const { url, expiresMs } = linkObject(key)
  const name = `${id}.${endings[contentType] ?? 'bin'}`
  const urlExpiresTime = new Date(expiresMs).toISOString()
  return { id, name, sha256, sizeBytes, contentType, ...size, url, urlExpiresTime }
}

export function unknownArtifact(artifactId: string): AppError {
  return new AppError('artifact.not_found', `there is no artifact ${artifactId.slice(0, 200)}`)
}
