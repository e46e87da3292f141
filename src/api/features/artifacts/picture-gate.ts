import { Transform } from 'node:stream'
import { AppError } from '../../../shared/errors.ts'
import {
  type PictureHeader,
  pictureLimits,
  type PictureType,
  readPictureHeader,
  sniffPicture,
} from '../../../shared/domain/picture-header.ts'

export type PictureGate = {
  readonly check: Transform
  /** What the picture's header says; only after the end. */
  readonly header: () => PictureHeader | null
}

const magicBytes = 12

/**
 * Passes a picture through and fails with `request.invalid` when it is none, or not of the type it
 * was announced as: by its first bytes at once, by its size at the end.
 */
export function openPictureGate(announced: PictureType): PictureGate {
  const chunks: Buffer[] = []
  let length = 0
  let header: PictureHeader | null = null
  const head = () => Buffer.concat(chunks)
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const isOpen = length < magicBytes
      if (length < pictureLimits.headBytesMax) chunks.push(chunk)
      length += chunk.length
      const isKnown = isOpen && length >= magicBytes
      done(isKnown ? typeFault(sniffPicture(head()), announced) : null, chunk)
    },
    flush(done) {
      const found = readPictureHeader(head())
      if (typeof found === 'string') return done(notAPicture(found))
      header = found
      done(typeFault(found.contentType, announced))
    },
  })
  return { check, header: () => header }
}

function typeFault(found: PictureType | null, announced: PictureType): AppError | null {
  if (found === announced) return null
  if (found === null) return notAPicture('is neither a PNG, a JPEG nor a WebP picture')
  return notAPicture(`is ${found}, but its Content-Type says ${announced}`)
}

function notAPicture(message: string): AppError {
  const fields = [{ path: '', message }]
  return new AppError('request.invalid', `the body ${message}`, { fields })
}
