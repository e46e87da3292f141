/** A tensor to write; float32 when `values` are plain numbers, raw bytes with a type otherwise. */
export type Written = {
  readonly shape: readonly number[]
  readonly values: readonly number[] | Uint8Array
  readonly dtype?: string
}

/** A well-formed safetensors file. */
export function writeSafetensors(
  tensors: Readonly<Record<string, Written>>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata }
  const parts: Uint8Array[] = []
  let at = 0
  for (const [name, { shape, values, dtype = 'F32' }] of Object.entries(tensors)) {
    const raw = values instanceof Uint8Array ? values : bytesOf(values)
    header[name] = { dtype, shape, data_offsets: [at, at + raw.length] }
    parts.push(raw)
    at += raw.length
  }
  return withHeader(JSON.stringify(header), Buffer.concat(parts))
}

/** Any text as the header of any data. */
export function withHeader(header: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const text = Buffer.from(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, data])
}

function bytesOf(values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer)
}

/** Small numbers that differ from each other, the same at every call. */
export function someValues(count: number, seed = 1): readonly number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233) * 0.3)
}
