import { z } from 'zod'
import { AppError } from '../../../shared/errors.ts'
import type { JobRow } from './row.ts'
import type { PagePosition } from './store.ts'

const position = z.tuple([z.int().min(0), z.string().min(1).max(64)])

/** Where a page ended, opaque to clients. */
export function encodeCursor({ creationTimeMs, _id }: JobRow): string {
  return Buffer.from(JSON.stringify([creationTimeMs, _id])).toString('base64url')
}

/** Errors: `request.invalid` naming `cursor`. */
export function decodeCursor(cursor: string): PagePosition {
  const parsed = position.safeParse(parseJson(Buffer.from(cursor, 'base64url').toString()))
  if (parsed.success) return { creationTimeMs: parsed.data[0], jobId: parsed.data[1] }
  const fields = [{ path: 'cursor', message: 'is not the `next` of a page' }]
  throw new AppError('request.invalid', 'cursor: is not the `next` of a page', { fields })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
