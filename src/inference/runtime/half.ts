/// <reference lib="esnext.float16" />

/**
 * Bits of half-precision values, which is the form the runtime's types know. Node's own array
 * does the rounding: to nearest, ties to even.
 */
export function toHalf(values: ArrayLike<number>): Uint16Array {
  const half = values instanceof Float16Array ? values : new Float16Array(values)
  return new Uint16Array(half.buffer, half.byteOffset, half.length)
}

/** Depending on its version the runtime hands float16 out as such or as raw bits. */
export function fromHalf(values: Float16Array | Uint16Array): Float32Array {
  if (values instanceof Float16Array) return new Float32Array(values)
  return new Float32Array(new Float16Array(values.buffer, values.byteOffset, values.length))
}

export function isHalf(values: unknown): values is Float16Array {
  return values instanceof Float16Array
}
