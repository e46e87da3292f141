import { createHash } from 'node:crypto'
import { Transform } from 'node:stream'
import { AppError } from '../../shared/errors.ts'
import type { ObjectFacts } from './store.ts'

/**
 * Passes bytes through and fails with `object.mismatch` as soon as there are too many, or at the
 * end when there are too few or their SHA-256 is another.
 */
export function checkBytes(expected: Pick<ObjectFacts, 'sizeBytes' | 'sha256'>): Transform {
  const digest = createHash('sha256')
  let received = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      received += chunk.length
      if (received > expected.sizeBytes)
        return done(mismatch('there are more bytes than announced'))
      digest.update(chunk)
      done(null, chunk)
    },
    flush(done) {
      if (received < expected.sizeBytes)
        return done(mismatch('there are fewer bytes than announced'))
      if (digest.digest('hex') !== expected.sha256) return done(mismatch('the SHA-256 differs'))
      done()
    },
  })
}

export type MeasuredBytes = {
  readonly check: Transform
  /** What passed through; only after the end. */
  readonly measured: () => Pick<ObjectFacts, 'sizeBytes' | 'sha256'>
}

/** Passes bytes through and measures them; fails with `request.too_large` beyond the maximum. */
export function measureBytes(sizeBytesMax: number): MeasuredBytes {
  const digest = createHash('sha256')
  let sizeBytes = 0
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sizeBytes += chunk.length
      if (sizeBytes > sizeBytesMax) return done(tooLarge(sizeBytesMax))
      digest.update(chunk)
      done(null, chunk)
    },
  })
  return { check, measured: () => ({ sizeBytes, sha256: digest.digest('hex') }) }
}

function tooLarge(sizeBytesMax: number): AppError {
  return new AppError('request.too_large', `at most ${sizeBytesMax} bytes are taken`)
}

function mismatch(message: string): AppError {
  return new AppError('object.mismatch', message)
}
