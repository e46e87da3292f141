import { z } from 'zod'
import { packError } from '../models/pack-error.ts'

const headerBytesMax = 100_000_000
const entriesMax = 100_000
/** A tensor's entry has about ten commas and colons; the object around it three levels. */
const separatorsMax = 20 * entriesMax
const depthMax = 3

const size = z.int().nonnegative()
const entrySchema = z.strictObject({
  dtype: z.string().max(16),
  shape: z.array(size).max(8),
  data_offsets: z.tuple([size, size]),
})
const headerSchema = z
  .object({ __metadata__: z.record(z.string(), z.string()).optional() })
  .catchall(entrySchema)

/** One tensor as the header announces it: bytes `start` to `end` of the part after the header. */
export type TensorEntry = {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly start: number
  readonly end: number
}

export type SafetensorsHeader = {
  readonly metadata: Readonly<Record<string, string>>
  readonly entries: readonly TensorEntry[]
  readonly dataStart: number
}

/**
 * The header of an untrusted safetensors file: eight bytes of length (little endian), then JSON
 * (format: https://huggingface.co/docs/safetensors). Throws packError before it parses text that
 * is longer, deeper or busier than a header can be.
 */
export function readHeader(bytes: Uint8Array, file: string): SafetensorsHeader {
  if (bytes.length < 8) throw packError({ file }, `${bytes.length} bytes are no safetensors file`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8)
  const headerBytes = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32
  if (headerBytes > headerBytesMax || headerBytes > bytes.length - 8) {
    const problem = `claims ${headerBytes} bytes, the file has ${bytes.length - 8}`
    throw packError({ file, field: 'header' }, problem)
  }
  const header = bytes.subarray(8, 8 + headerBytes)
  const colons = countColons(header, file)
  const { __metadata__: metadata, ...rest } = parseHeader(header, file)
  const entries = Object.entries(rest)
  const metadataColons = metadata === undefined ? 0 : 1 + Object.keys(metadata).length
  // JSON.parse keeps the last of two equal names; the text's own count gives the other away.
  if (colons !== entries.length * 4 + metadataColons) {
    throw packError({ file, field: 'header' }, 'a name is there twice or is not allowed')
  }
  return {
    metadata: metadata ?? {},
    entries: entries.map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [start, end],
        },
      ]) => {
        return { name, dtype, shape, start, end }
      },
    ),
    dataStart: 8 + headerBytes,
  }
}

function parseHeader(header: Uint8Array, file: string): z.infer<typeof headerSchema> {
  const parsed = headerSchema.safeParse(parseJson(header, file))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const field = issue.path.join('.').slice(0, 200)
  throw packError({ file, field, cause: parsed.error }, issue.message)
}

function parseJson(header: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header))
  } catch (cause) {
    throw packError({ file, field: 'header', cause }, 'not valid JSON')
  }
}

/** Goes over the JSON without parsing it, so that nothing deep or huge reaches the parser. */
function countColons(header: Uint8Array, file: string): number {
  const counts = { colons: 0, commas: 0, depth: 0 }
  for (let at = 0; at < header.length; at++) {
    if (header[at] === quote) at = endOfString(header, at)
    const change = punctuation.get(header[at])
    if (change !== undefined) counts[change.what] += change.by
    if (counts.depth > depthMax) throw packError({ file, field: 'header' }, 'nested too deep')
  }
  if (counts.colons + counts.commas <= separatorsMax) return counts.colons
  throw packError({ file, field: 'header' }, `more than ${entriesMax} tensors`)
}

const quote = 0x22
const backslash = 0x5c
const punctuation = new Map<number, { what: 'colons' | 'commas' | 'depth'; by: number }>([
  [0x3a, { what: 'colons', by: 1 }],
  [0x2c, { what: 'commas', by: 1 }],
  [0x7b, { what: 'depth', by: 1 }],
  [0x5b, { what: 'depth', by: 1 }],
  [0x7d, { what: 'depth', by: -1 }],
  [0x5d, { what: 'depth', by: -1 }],
])

/** The place of the closing quote. */
function endOfString(text: Uint8Array, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== quote) at += text[at] === backslash ? 2 : 1
  return at
}
