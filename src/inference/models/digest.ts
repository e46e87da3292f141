import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'

/** Large enough that reading the next piece and hashing this one overlap. */
const chunkBytes = 4 * 1024 * 1024

export type DigestOptions = {
  /** Called with the size of each piece that was hashed. */
  readonly onBytes?: (count: number) => void
  readonly signal?: AbortSignal
}

/** SHA-256 of a file of any size, in hexadecimal; it holds two pieces of it at a time. */
export async function digestFile(file: string, options: DigestOptions = {}): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(
    createReadStream(file, { highWaterMark: chunkBytes }),
    async (pieces: AsyncIterable<Buffer>) => {
      for await (const piece of pieces) {
        hash.update(piece)
        options.onBytes?.(piece.length)
      }
    },
    { signal: options.signal },
  )
  return hash.digest('hex')
}
