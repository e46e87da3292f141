import { z } from 'zod'
import { invalidRequest } from '../../../shared/errors.ts'

const inviteId = z.string().regex(/^[0-9a-z]{26}$/)

/** Where a page ended, opaque to clients. */
export function encodeCursor(id: string): string {
  return Buffer.from(id).toString('base64url')
}

/** Errors: `request.invalid` naming `cursor`. */
export function decodeCursor(cursor: string): string {
  const parsed = inviteId.safeParse(Buffer.from(cursor, 'base64url').toString())
  if (parsed.success) return parsed.data
  throw invalidRequest([{ path: 'cursor', message: 'is not the `next` of a page' }])
}
