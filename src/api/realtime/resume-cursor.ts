/**
 * Up to which moment somebody has been told everything, opaque to clients. It is not a secret and
 * not signed: it only narrows what they may read anyway.
 */
export function encodeResumeCursor(atMs: number): string {
  return Buffer.from(`since:${atMs}`).toString('base64url')
}

/** Null for what is not a cursor of ours. */
export function decodeResumeCursor(cursor: string): number | null {
  const [, digits] = /^since:(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  return digits === undefined ? null : Number(digits)
}
