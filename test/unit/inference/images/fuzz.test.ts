import { crc32 } from 'node:zlib'
import { assert, asyncProperty, constant, double, integer, oneof } from 'fast-check'
import sharp from 'sharp'
import { beforeAll, describe, expect, test } from 'vitest'
import { readMask } from '../../../../src/inference/images/mask.ts'
import { readPicture } from '../../../../src/inference/images/read-picture.ts'
import { isAppError } from '../../../../src/shared/errors.ts'
import { longTests } from '../../../support/long.ts'
import { edits, smoothPicture } from './builders.ts'

const seeds: Buffer[] = []
const runs = longTests ? 20_000 : 1000

beforeAll(async () => {
  const { width, height, pixels } = smoothPicture(24, 18)
  const source = sharp(pixels, { raw: { width, height, channels: 3 } })
  const turned = source.clone().withMetadata({ orientation: 6 })
  const files = [
    source.clone().png(),
    source.clone().png({ palette: true }),
    turned.clone().png({ progressive: true }),
    turned.clone().jpeg(),
    source.clone().jpeg({ progressive: true }),
    source.clone().toColourspace('cmyk').jpeg(),
    source.clone().webp(),
    turned.clone().webp({ lossless: true }),
  ]
  for (const file of files) seeds.push(await file.toBuffer())
})

describe('a file with changed bytes', () => {
  test(
    `is refused or read, in ${runs} tries`,
    { timeout: longTests ? 900_000 : 60_000 },
    async () => {
      const outcomes = { read: 0, refused: 0 }
      const which = integer({ min: 0, max: seeds.length - 1 })
      const share = oneof(constant(1), constant(1), double({ min: 0.01, max: 1, noNaN: true }))
      await assert(
        asyncProperty(which, edits, share, async (index, changes, part) => {
          const bytes = Buffer.from(seeds[index])
          for (const [at, value] of changes) bytes[at % bytes.length] = value
          repairChecksums(bytes)
          outcomes[await outcomeOf(bytes.subarray(0, Math.ceil(part * bytes.length)))]++
        }),
        { numRuns: runs },
      )
      expect(outcomes.read).toBeGreaterThan(runs / 50)
      expect(outcomes.refused).toBeGreaterThan(runs / 50)
    },
  )
})

/** Anything but a picture or a named refusal is thrown on and fails the test. */
async function outcomeOf(file: Uint8Array): Promise<'read' | 'refused'> {
  try {
    const [read, { mask }] = [await readPicture(file, 'a'), await readMask(file, 'b')]
    const size = read.picture.width * read.picture.height
    expect(read.picture.pixels.length).toBe(size * 3)
    expect(mask.values.length).toBe(size)
    return 'read'
  } catch (error) {
    if (isAppError(error, 'request.invalid') && error.fields.length === 1) return 'refused'
    throw error
  }
}

/** Else nearly every change of a PNG is found by its checksum, before anything reads it. */
function repairChecksums(bytes: Buffer): void {
  if (bytes.toString('latin1', 1, 4) !== 'PNG') return
  for (let at = 8, end = at; at + 12 <= bytes.length; at = end) {
    end = at + 12 + bytes.readUInt32BE(at)
    if (end > bytes.length) return
    bytes.writeUInt32BE(crc32(bytes.subarray(at + 4, end - 4)), end - 4)
  }
}
