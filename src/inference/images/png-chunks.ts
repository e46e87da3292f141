import { inputError } from './input-error.ts'

/** What the pixels are made of, and the orientation. */
const keptChunks: readonly string[] = ['IHDR', 'PLTE', 'tRNS', 'IDAT', 'eXIf', 'IEND']
const signatureBytes = 8
/** Length, type and checksum around the body of a chunk. */
const frameBytes = 12

/**
 * Leaves out every chunk that is not needed to draw. A decoder inflates text chunks while it reads
 * the header: 100 of them in a file of 0.8 MB cost libvips 4 GB and 25 s. Bytes after the end of
 * the picture are left out too. Checksums are the decoder's business.
 * Source: PNG specification, third edition, 5.3 (chunk layout) and 11.3.2 (animation).
 * @throws AppError request.invalid for a file that is cut off, and for an animation: which of its
 *   pictures is meant, only the sender knows.
 */
export function keepDrawnChunks(
  bytes: Uint8Array,
  field: string,
): { readonly bytes: Uint8Array; readonly hasProfile: boolean } {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const kept = Buffer.alloc(file.length)
  let size = file.copy(kept, 0, 0, signatureBytes)
  let hasProfile = false
  let type = ''
  for (let at = signatureBytes; type !== 'IEND';) {
    const end = chunkEnd(file, at)
    if (end > file.length) throw inputError(field, 'is a PNG file that is cut off')
    type = file.toString('latin1', at + 4, at + 8)
    if (type === 'acTL') throw inputError(field, 'is an animated PNG; send one picture')
    if (keptChunks.includes(type)) size += file.copy(kept, size, at, end)
    hasProfile ||= type === 'iCCP'
    at = end
  }
  return { bytes: kept.subarray(0, size), hasProfile }
}

function chunkEnd(file: Buffer, at: number): number {
  if (at + frameBytes > file.length) return Number.POSITIVE_INFINITY
  return at + frameBytes + file.readUInt32BE(at)
}
