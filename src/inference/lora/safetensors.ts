import { packError } from '../models/pack-error.ts'
import { fromHalf } from '../runtime/half.ts'
import { readHeader, type SafetensorsHeader, type TensorEntry } from './safetensors-header.ts'

/** Values with their torch shape, row-major. */
export type LoraTensor = { readonly shape: readonly number[]; readonly values: Float32Array }

export type Safetensors = {
  readonly metadata: Readonly<Record<string, string>>
  readonly tensors: ReadonlyMap<string, LoraTensor>
}

const elementBytes: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 }

/**
 * Reads an untrusted safetensors file into float32. All entries are checked before the first
 * value is allocated: known types, sizes that equal shape × type, and ranges that follow each
 * other without hole or overlap up to the file's end, as the format demands. Throws packError
 * naming file and tensor.
 */
export function readSafetensors(bytes: Uint8Array, file: string): Safetensors {
  const header = readHeader(bytes, file)
  checkRanges(header, bytes.length - header.dataStart, file)
  const tensors = header.entries.map((entry) => {
    const start = header.dataStart + entry.start
    const raw = new Uint8Array(bytes.subarray(start, header.dataStart + entry.end))
    return [entry.name, { shape: entry.shape, values: toFloats(entry.dtype, raw) }] as const
  })
  return { metadata: header.metadata, tensors: new Map(tensors) }
}

function checkRanges({ entries }: SafetensorsHeader, dataBytes: number, file: string): void {
  let at = 0
  for (const entry of entries.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    checkSize(entry, file)
    if (entry.start !== at) {
      const what = entry.start < at ? 'overlaps the tensor before it' : 'leaves a hole before it'
      throw packError({ file, field: entry.name.slice(0, 200) }, `${what} at byte ${entry.start}`)
    }
    at = entry.end
  }
  if (at === dataBytes) return
  throw packError({ file }, `the tensors end at byte ${at} of ${dataBytes}`)
}

function checkSize({ name, dtype, shape, start, end }: TensorEntry, file: string): void {
  const field = name.slice(0, 200)
  if (!Object.hasOwn(elementBytes, dtype)) {
    throw packError({ file, field }, `type ${dtype} is not one of F32, F16, BF16`)
  }
  // Exact for every size that can be equal: a product past 2^53 is never a difference below it.
  const needed = shape.reduce((a, b) => a * b, elementBytes[dtype])
  if (end - start !== needed) {
    const problem = `${end - start} bytes are not ${dtype} of shape [${shape.join(', ')}]`
    throw packError({ file, field }, problem)
  }
}

/** `raw` is a copy of its own, so it starts where every type may start. */
function toFloats(dtype: string, raw: Uint8Array): Float32Array {
  if (dtype === 'F32') return new Float32Array(raw.buffer)
  const halves = new Uint16Array(raw.buffer)
  if (dtype === 'F16') return fromHalf(halves)
  // bfloat16 is the upper half of a float32.
  return new Float32Array(Uint32Array.from(halves, (bits) => bits * 65_536).buffer)
}
