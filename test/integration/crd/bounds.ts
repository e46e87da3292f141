import { assert } from '../../../src/shared/assert.ts'
import type { Schema } from '../../../tools/crds/schema.ts'

/** One limit of a schema, such as maxLength at `spec.owner.department`. */
export type Bound = {
  readonly place: string
  readonly keyword: string
  /** Values to be accepted and refused at the place, made from one that is accepted there. */
  readonly values: (current: unknown) => {
    readonly accepted: readonly unknown[]
    readonly refused: readonly unknown[]
  }
  /** Member that a refusal names, where it is not the place itself. */
  readonly member?: string
}

type Values = ReturnType<Bound['values']>
type Maker = (schema: Schema, current: unknown) => Values

/** Every limit of a schema and of all that is below it. */
export function boundsOf(schema: Schema, place: string): Bound[] {
  return [
    ...Object.keys(makers)
      .filter((keyword) => keyword in schema && !isNumberFormat(keyword, schema))
      .map((keyword) => ({
        place,
        keyword,
        values: (current: unknown) => maker(keyword)(schema, current),
      })),
    ...(schema.required ?? []).map((member) => requiredMember(place, member)),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
      boundsOf(child, place === '' ? name : `${place}.${name}`),
    ),
    ...(schema.items === undefined ? [] : boundsOf(schema.items, `${place}[]`)),
  ]
}

/** int32, int64 and double say how a number is stored; its minimum and maximum are the limits. */
function isNumberFormat(keyword: string, { format }: Schema): boolean {
  return keyword === 'format' && format !== 'date-time'
}

function maker(keyword: string): Maker {
  const found = makers[keyword]
  assert(found, `${keyword} has a maker`)
  return found
}

function requiredMember(place: string, member: string): Bound {
  const without = (current: unknown) => {
    assert(typeof current === 'object' && current !== null, 'only objects have required members')
    return Object.fromEntries(Object.entries(current).filter(([name]) => name !== member))
  }
  return {
    place,
    keyword: `required ${member}`,
    values: (current) => ({ accepted: [current], refused: [without(current)] }),
    member,
  }
}

const makers: Readonly<Record<string, Maker>> = {
  type: ({ type }, current) => ({ accepted: [current], refused: [ofAnotherType(type)] }),
  enum: ({ enum: words = [] }) => ({ accepted: words, refused: ['NoSuchWord'] }),
  pattern: (schema, current) => ({ accepted: [current], refused: [broken(schema, text(current))] }),
  format: (_schema, current) => ({ accepted: [current], refused: ['yesterday'] }),
  maxLength: (schema, current) => {
    const length = limit(schema.maxLength)
    const longest = stretched(schema, text(current), length)
    return { accepted: [longest], refused: [stretched(schema, text(current), length + 1)] }
  },
  minLength: (schema, current) => {
    const length = limit(schema.minLength)
    return {
      accepted: [text(current).slice(0, length)],
      refused: [text(current).slice(0, length - 1)],
    }
  },
  maximum: (schema) => {
    const maximum = limit(schema.maximum)
    return { accepted: [maximum], refused: [maximum + step(schema)] }
  },
  minimum: (schema) => {
    const minimum = limit(schema.minimum)
    return { accepted: [minimum], refused: [minimum - step(schema)] }
  },
  multipleOf: ({ multipleOf }) => ({
    accepted: [64],
    refused: [64 + limit(multipleOf) / 2],
  }),
  maxItems: (schema, current) => {
    const items = distinctItems(schema, list(current), limit(schema.maxItems) + 1)
    return { accepted: [items.slice(0, -1)], refused: [items] }
  },
  minItems: (schema, current) => {
    const count = limit(schema.minItems)
    return {
      accepted: [list(current).slice(0, count)],
      refused: [list(current).slice(0, count - 1)],
    }
  },
  'x-kubernetes-list-type': (_schema, current) => ({
    accepted: [current],
    refused: [[...list(current), list(current)[0]]],
  }),
}

function ofAnotherType(type: Schema['type']): unknown {
  return type === 'string' ? 7 : 'text'
}

/** The smallest distance between two values of a number. */
function step({ type, multipleOf }: Schema): number {
  return multipleOf ?? (type === 'integer' ? 1 : 0.001)
}

/** A string of the same length that only the pattern refuses: no pattern of ours begins so. */
function broken({ pattern = '' }: Schema, current: string): string {
  const candidate = `~${current.slice(1)}`
  assert(!new RegExp(pattern, 'u').test(candidate), `${pattern} refuses ${candidate}`)
  return candidate
}

/**
 * A string of the wanted length that obeys pattern and format: one character of the current one
 * is repeated, the first for which that holds.
 */
function stretched({ pattern = '', format }: Schema, current: string, length: number): string {
  const extra = length - current.length
  assert(extra >= 0, `the example ${current} is not longer than the limit`)
  const shape = new RegExp(
    format === 'date-time' ? String.raw`T\d\d:\d\d:\d\d\.\d+Z$` : pattern,
    'u',
  )
  const candidates = Array.from(current, (letter, index) => {
    return current.slice(0, index) + letter.repeat(extra) + current.slice(index)
  })
  const found = candidates.toReversed().find((candidate) => shape.test(candidate))
  assert(found !== undefined, `no string of ${length} characters obeys ${pattern}`)
  return found
}

/** As many different items as wanted; words of an enum run out and are repeated. */
function distinctItems(schema: Schema, current: readonly unknown[], count: number): unknown[] {
  const words = schema.items?.enum
  if (words) return [...words, ...words].slice(0, count)
  const [key] = list(schema['x-kubernetes-list-map-keys'] ?? [])
  return Array.from({ length: count }, (_, index) => numbered(current[0], key, index))
}

function numbered(item: unknown, key: unknown, index: number): unknown {
  if (typeof item === 'string') return `${item}${index}`
  assert(typeof item === 'object' && item !== null, 'items are strings or objects')
  // What has a name must often have one of its own.
  const named = typeof key === 'string' ? key : 'name'
  return named in item ? { ...item, [named]: `number${index}` } : item
}

function text(value: unknown): string {
  assert(typeof value === 'string', 'the example is a string')
  return value
}

function list(value: unknown): readonly unknown[] {
  assert(Array.isArray(value), 'the example is a list')
  return value
}

function limit(value: number | undefined): number {
  assert(value !== undefined, 'the keyword has a number')
  return value
}
