import { collectFields, readIntegers, refuse } from './wire.ts'
import type { Message } from './wire.ts'
import { children, readEntries, readTensorHead } from './read-graph.ts'

/** Size of a file by its path from the graph's folder; undefined when it is not known. */
export type SizeOf = (path: string) => number | undefined

const pathCharactersMax = 255
const entriesMax = 32

/**
 * Where a weight lies when it is not in the graph: a path relative to the graph's folder, or
 * undefined. Throws packError for a path that could name anything else, onnxruntime's own marker
 * for raw memory addresses included, and for a range that is not in the file.
 */
export function checkExternalData(tensor: Message, sizeOf: SizeOf): string | undefined {
  const fields = collectFields(tensor, [13, 14])
  const isExternal = readIntegers(tensor, fields.get(14) ?? [], 16).at(-1) === 1
  const options = { name: 'external_data', limit: entriesMax }
  const entries = readEntries(children(tensor, fields.get(13) ?? [], options))
  if (!isExternal && entries.length === 0) return undefined
  const locations = entries.filter(([key]) => key === 'location')
  if (locations.length !== 1) throw refuse(tensor, 'external data need one location')
  const location = locations[0][1]
  if (!staysInside(location)) {
    const shown = JSON.stringify(location.slice(0, pathCharactersMax))
    throw refuse(tensor, `external data at ${shown} may lie outside the model's folder`)
  }
  checkRange(tensor, new Map(entries), sizeOf(location))
  return location
}

/** Plain names joined by slashes: no root, drive, backslash, `.`, `..`, wildcard or control. */
function staysInside(location: string): boolean {
  const names = location.split('/')
  const arePlain = names.every((name) => /^[\p{L}\p{N}_][\p{L}\p{N}_.+ -]*$/u.test(name))
  return arePlain && location.length <= pathCharactersMax
}

function checkRange(
  tensor: Message,
  entries: ReadonlyMap<string, string>,
  fileBytes: number | undefined,
): void {
  const offset = readCount(tensor, { name: 'offset', text: entries.get('offset') }) ?? 0
  const length = readCount(tensor, { name: 'length', text: entries.get('length') })
  const { dims, elementType } = readTensorHead(tensor)
  const needed = length ?? dims.reduce((a, b) => a * b, elementBytes.get(elementType) ?? 1)
  if (fileBytes !== undefined && offset + needed > fileBytes) {
    const problem = `external data end at byte ${offset + needed}, the file at ${fileBytes}`
    throw refuse(tensor, problem)
  }
}

function readCount(
  tensor: Message,
  { name, text }: { readonly name: string; readonly text: string | undefined },
): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw refuse(tensor, `external_data.${name} “${text.slice(0, 40)}” is not a count of bytes`)
}

/** By TensorProto.DataType; types of less than one byte count as one element per byte at least. */
const elementBytes: ReadonlyMap<number, number> = new Map([
  [1, 4],
  [4, 2],
  [5, 2],
  [6, 4],
  [7, 8],
  [10, 2],
  [11, 8],
  [12, 4],
  [13, 8],
  [14, 8],
  [15, 16],
  [16, 2],
])
