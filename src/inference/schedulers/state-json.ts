import { Buffer } from 'node:buffer'
import { z } from 'zod'
import type { Values } from './arrays.ts'
import type { SchedulerState } from './scheduler.ts'

const packedSchema = z.strictObject({ type: z.enum(['float32', 'float64']), base64: z.base64() })
const stateSchema = z.strictObject({
  count: z.int().min(0),
  next: z.int().min(0).nullable(),
  history: z.array(packedSchema).max(8),
  start: packedSchema.nullable(),
})
type Packed = z.infer<typeof packedSchema>

/** Writes a saved run as JSON text, every value to the last bit. */
export function stateToJson({ history, start, ...counters }: SchedulerState): string {
  return JSON.stringify({
    ...counters,
    history: history.map(pack),
    start: start === null ? null : pack(start),
  })
}

/** Reads what `stateToJson` wrote. Throws when the text is anything else. */
export function stateFromJson(text: string): SchedulerState {
  const { history, start, ...counters } = stateSchema.parse(JSON.parse(text))
  return {
    ...counters,
    history: history.map(unpack),
    start: start === null ? null : Float32Array.from(unpack(start)),
  }
}

function pack(values: Values): Packed {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
  const type = values instanceof Float32Array ? 'float32' : 'float64'
  return { type, base64: bytes.toString('base64') }
}

function unpack({ type, base64 }: Packed): Values {
  // A copy of its own: the buffer of a small Buffer is shared and begins anywhere.
  const { buffer } = Uint8Array.from(Buffer.from(base64, 'base64'))
  return type === 'float32' ? new Float32Array(buffer) : new Float64Array(buffer)
}
