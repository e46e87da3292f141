import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

/** A tensor in the set's .bin file: `off` counts floats. */
export type TensorRef = { readonly off: number; readonly shape: readonly number[] }

export type Golden<Index> = {
  readonly index: Index
  readonly tensor: (ref: TensorRef) => Float32Array
}

/** Reads NAME.json and, where it has one, its .bin; undefined when the folder lacks the set. */
export function readGolden<Index>(folder: string, name: string): Golden<Index> | undefined {
  const file = path.join(folder, `${name}.json`)
  if (!existsSync(file)) return undefined
  // The format is documented in the set's README; a wrong file fails in the comparison.
  const index = JSON.parse(readFileSync(file, 'utf8')) as Index & { bin?: string }
  const floats = index.bin === undefined ? new Float32Array() : readFloats(folder, index.bin)
  return { index, tensor: (ref) => floats.subarray(ref.off, ref.off + sizeOf(ref.shape)) }
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

function readFloats(folder: string, file: string): Float32Array {
  const bytes = readFileSync(path.join(folder, file))
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
}
