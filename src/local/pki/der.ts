/** The few DER forms (ITU-T X.690) that an X.509 certificate needs. */
const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** Tag, length, value. Lengths from 128 on are written as a count of length bytes, then them. */
function encode(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(parts)
  if (value.length < 0x80) return Buffer.concat([Buffer.from([tag, value.length]), value])
  const hex = value.length.toString(16)
  const length = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, value])
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return encode(tags.sequence, ...parts)
}

export function setOf(...parts: readonly Uint8Array[]): Buffer {
  return encode(tags.set, ...parts)
}

/** A non-negative integer from big-endian bytes, in the shortest form, as DER demands. */
export function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0)
  const shortest = first === -1 ? Buffer.from([0]) : bytes.subarray(first)
  // A leading 1 bit would make it negative.
  const isNegative = (shortest[0] ?? 0) >= 0x80
  return encode(tags.integer, Buffer.from(isNegative ? [0] : []), shortest)
}

export function yes(): Buffer {
  return encode(tags.boolean, Buffer.from([0xff]))
}

/** `unusedBits`: how many of the last byte do not count. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return encode(tags.bitString, Buffer.from([unusedBits]), bytes)
}

export function octetString(bytes: Uint8Array): Buffer {
  return encode(tags.octetString, bytes)
}

export function utf8String(text: string): Buffer {
  return encode(tags.utf8String, Buffer.from(text, 'utf8'))
}

export function generalizedTime(timeMs: number): Buffer {
  const text = new Date(timeMs).toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return encode(tags.generalizedTime, Buffer.from(text, 'ascii'))
}

/** "2.5.4.3": the first two numbers share a byte, the others are base 128, high bit = goes on. */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return encode(tags.objectId, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): readonly number[] {
  const low = value & 0x7f
  return value < 0x80 ? [low] : [...base128(value >>> 7).map((byte) => byte | 0x80), low]
}

/** [number] of the surrounding type; `constructed` when it wraps another value. */
export function context(
  number: number,
  value: Uint8Array,
  options: { readonly constructed: boolean },
): Buffer {
  return encode((options.constructed ? 0xa0 : 0x80) | number, value)
}
