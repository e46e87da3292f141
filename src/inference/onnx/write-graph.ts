import { assert } from '../../shared/assert.ts'
import type { Message } from './wire.ts'
import { messageBytesMax } from './wire.ts'

/** Puts `chunks` in the place of the bytes from `start` to `end`. */
export type Edit = {
  readonly start: number
  readonly end: number
  readonly chunks: readonly Uint8Array[]
}

/** A field that holds text, a message or another run of bytes. */
export function bytesField(number: number, chunks: readonly Uint8Array[]): readonly Uint8Array[] {
  return [varint(number * 8 + 2), varint(totalBytes(chunks)), ...chunks]
}

export function textField(number: number, text: string): readonly Uint8Array[] {
  return bytesField(number, [Buffer.from(text)])
}

export function integerField(number: number, value: number): readonly Uint8Array[] {
  return [varint(number * 8), varint(value)]
}

/**
 * The bytes of a message with edits done in it. Whatever no edit touches is carried over byte for
 * byte, known or not. The chunks are slices, so weights in the graph are copied only once, by
 * join(). Edits are in order and do not overlap.
 */
export function editMessage(message: Message, edits: readonly Edit[]): readonly Uint8Array[] {
  const chunks: Uint8Array[] = []
  let at = message.start
  for (const edit of edits) {
    assert(edit.start >= at && edit.end >= edit.start, 'edits are in order')
    chunks.push(message.bytes.subarray(at, edit.start), ...edit.chunks)
    at = edit.end
  }
  assert(at <= message.end, 'edits lie within their message')
  chunks.push(message.bytes.subarray(at, message.end))
  return chunks
}

/** One array of all chunks. Throws when a protobuf reader would refuse it. */
export function join(chunks: readonly Uint8Array[]): Uint8Array {
  const sizeBytes = totalBytes(chunks)
  assert(sizeBytes <= messageBytesMax, 'the graph fits into a protobuf file')
  const joined = new Uint8Array(sizeBytes)
  let at = 0
  for (const chunk of chunks) {
    joined.set(chunk, at)
    at += chunk.length
  }
  return joined
}

function totalBytes(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0)
}

function varint(value: number): Uint8Array {
  assert(Number.isSafeInteger(value) && value >= 0, 'a written integer is small and not negative')
  const groups: number[] = []
  for (let rest = value; groups.length === 0 || rest > 0; rest = Math.floor(rest / 128)) {
    groups.push((rest % 128) + (rest >= 128 ? 128 : 0))
  }
  return Uint8Array.from(groups)
}
