import { packError } from '../models/pack-error.ts'

/** Protobuf itself allows no longer message. */
export const messageBytesMax = 2 ** 31 - 1
/** Known fields kept of one file; the graph of an SDXL UNet has about 500,000. */
const fieldsMax = 4_000_000
const textBytesMax = 65_536

/** A stretch of an untrusted file that holds one protobuf message. Nothing of it is copied. */
export type Message = {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  /** Where the field that holds it begins, its tag included. */
  readonly fieldStart: number
  readonly file: string
  /** Where in the file's tree it lies, for messages to people: `graph.node[3]`. */
  readonly path: string
  readonly budget: { fieldsLeft: number }
}

export type WireField = {
  readonly number: number
  readonly kind: 'varint' | 'fixed' | 'bytes'
  /** The field lies at `start`, its contents between `bodyStart` and `end`. */
  readonly start: number
  readonly bodyStart: number
  readonly end: number
  /** Of a varint; exact up to 2^53. Negative numbers read as above that. */
  readonly value: number
}

/** The whole file as one message. Throws packError when protobuf cannot be so long. */
export function openMessage(bytes: Uint8Array, file: string): Message {
  if (bytes.length > messageBytesMax) {
    throw packError({ file }, `${bytes.length} bytes are more than a protobuf file can have`)
  }
  const budget = { fieldsLeft: fieldsMax }
  return { bytes, start: 0, end: bytes.length, fieldStart: 0, file, path: '', budget }
}

/** Refuses the file, naming the place in it. */
export function refuse(message: Message, problem: string): Error {
  return packError({ file: message.file, field: message.path || undefined }, problem)
}

/**
 * The fields with the given numbers, in their order; the others are passed over without being
 * kept. Tags, lengths and varints are checked against the message's own end before anything is
 * read (https://protobuf.dev/programming-guides/encoding).
 */
export function collectFields(
  message: Message,
  numbers: readonly number[],
): ReadonlyMap<number, readonly WireField[]> {
  const found = new Map<number, WireField[]>()
  for (let start = message.start; start < message.end;) {
    const field = readField(message, start)
    start = field.end
    if (!numbers.includes(field.number)) continue
    const list = found.get(field.number)
    if (list === undefined) found.set(field.number, [field])
    else list.push(field)
    message.budget.fieldsLeft--
    if (message.budget.fieldsLeft < 0) throw refuse(message, `more than ${fieldsMax} fields`)
  }
  return found
}

/** The message inside a length-delimited field. */
export function nested(parent: Message, field: WireField, name: string): Message {
  if (field.kind !== 'bytes') throw refuse(parent, `${name} is not a message`)
  const { bytes, file, budget } = parent
  const path = parent.path === '' ? name : `${parent.path}.${name}`
  return {
    bytes,
    start: field.bodyStart,
    end: field.end,
    fieldStart: field.start,
    file,
    path,
    budget,
  }
}

/** UTF-8 text of at most 64 KiB. */
export function readText(parent: Message, field: WireField): string {
  if (field.kind !== 'bytes') throw refuse(parent, `field ${field.number} is not text`)
  if (field.end - field.bodyStart > textBytesMax) {
    throw refuse(parent, `the text of field ${field.number} is longer than ${textBytesMax} bytes`)
  }
  try {
    return utf8.decode(parent.bytes.subarray(field.bodyStart, field.end))
  } catch {
    throw refuse(parent, `field ${field.number} is not UTF-8`)
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Integers of a field, packed or one by one. Values past 2^53 come as rounded, unsafe numbers. */
export function readIntegers(
  parent: Message,
  fields: readonly WireField[],
  limit: number,
): readonly number[] {
  const values: number[] = []
  for (const field of fields) {
    if (field.kind === 'fixed') throw refuse(parent, `field ${field.number} is not an integer`)
    if (field.kind === 'varint') values.push(field.value)
    for (let at = field.bodyStart; field.kind === 'bytes' && at < field.end;) {
      const varint = readVarint(parent, at, field.end)
      values.push(varint.value)
      at = varint.next
      if (values.length > limit) break
    }
    if (values.length > limit) throw refuse(parent, `field ${field.number}: more than ${limit}`)
  }
  return values
}

/** A 32-bit float. */
export function readFloat(parent: Message, field: WireField): number {
  if (field.kind !== 'fixed' || field.end - field.bodyStart !== 4) {
    throw refuse(parent, `field ${field.number} is not a float`)
  }
  const { buffer, byteOffset } = parent.bytes
  return new DataView(buffer, byteOffset + field.bodyStart, 4).getFloat32(0, true)
}

function readField(message: Message, start: number): WireField {
  const tag = readVarint(message, start, message.end)
  const number = Math.floor(tag.value / 8)
  if (number < 1 || number >= 2 ** 29) throw refuse(message, `byte ${start} is no protobuf tag`)
  const wireType = tag.value % 8
  const at = { number, start, bodyStart: tag.next }
  switch (wireType) {
    case 0: {
      const varint = readVarint(message, tag.next, message.end)
      return { ...at, kind: 'varint', end: varint.next, value: varint.value }
    }
    case 2: {
      const length = readVarint(message, tag.next, message.end)
      const end = within(message, length.next, length.value)
      return { ...at, kind: 'bytes', bodyStart: length.next, end, value: 0 }
    }
    case 1:
    case 5: {
      const end = within(message, tag.next, wireType === 1 ? 8 : 4)
      return { ...at, kind: 'fixed', end, value: 0 }
    }
    default:
      throw refuse(message, `byte ${start} has wire type ${wireType}, which ONNX does not use`)
  }
}

function within(message: Message, start: number, length: number): number {
  if (length <= message.end - start) return start + length
  throw refuse(message, `a field at byte ${start} claims ${length} bytes, past its end`)
}

/** Base 128, least group first, at most ten bytes. */
function readVarint(message: Message, start: number, end: number): { value: number; next: number } {
  let value = 0
  let scale = 1
  for (let at = start; at < Math.min(end, start + 10); at++) {
    const byte = message.bytes[at]
    value += (byte & 127) * scale
    scale *= 128
    if (byte < 128) return { value, next: at + 1 }
  }
  throw refuse(message, `byte ${start} has a varint without an end`)
}
