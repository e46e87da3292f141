import { assert } from '../../shared/assert.ts'
import type { FloatTensor } from '../runtime/component.ts'

/** Arrays one after the other. */
export function joinArrays(parts: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/** Equal tensors of one batch entry each → one tensor with all of them: [n, …]. */
export function stack(parts: readonly FloatTensor[]): FloatTensor {
  const [{ shape }] = parts
  assert(
    parts.every((part) => part.shape[0] === 1 && part.data.length === parts[0].data.length),
    'only single entries of one size are stacked',
  )
  return {
    data: joinArrays(parts.map(({ data }) => data)),
    shape: [parts.length, ...shape.slice(1)],
  }
}

/** [1, …] → [count, …] with `count` times the same values. */
export function repeat(tensor: FloatTensor, count: number): FloatTensor {
  return stack(Array.from({ length: count }, () => tensor))
}

/** Entry `index` of the batch: [n, …] → [1, …], sharing its memory. */
export function entry({ data, shape }: FloatTensor, index: number): FloatTensor {
  const size = data.length / shape[0]
  const part = data.subarray(index * size, (index + 1) * size)
  return { data: part, shape: [1, ...shape.slice(1)] }
}

/** Joins [n, a, …] and [n, b, …] to [n, a + b, …]. */
export function joinChannels(first: FloatTensor, second: FloatTensor): FloatTensor {
  const [count, channels, ...rest] = first.shape
  assert(count === second.shape[0], 'both have the same number of entries')
  const entries = Array.from({ length: count }, (_, i) => [
    entry(first, i).data,
    entry(second, i).data,
  ])
  return {
    data: joinArrays(entries.flat()),
    shape: [count, channels + second.shape[1], ...rest],
  }
}

/** Joins [1, tokens, a] and [1, tokens, b] to [1, tokens, a + b]. */
export function joinWidths(parts: readonly FloatTensor[]): FloatTensor {
  const tokens = parts[0].shape[1]
  const rows = Array.from({ length: tokens }, (_, token) =>
    parts.map(({ data, shape }) => data.subarray(token * shape[2], (token + 1) * shape[2])),
  )
  const width = parts.reduce((sum, { shape }) => sum + shape[2], 0)
  return { data: joinArrays(rows.flat()), shape: [1, tokens, width] }
}

/** Joins [1, a, width] and [1, b, width] to [1, a + b, width]. */
export function joinTokens(parts: readonly FloatTensor[]): FloatTensor {
  const tokens = parts.reduce((sum, { shape }) => sum + shape[1], 0)
  return { data: joinArrays(parts.map(({ data }) => data)), shape: [1, tokens, parts[0].shape[2]] }
}

export function zeros(shape: readonly number[]): FloatTensor {
  return { data: new Float32Array(shape.reduce((size, length) => size * length, 1)), shape }
}
