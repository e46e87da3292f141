import { isDeepStrictEqual } from 'node:util'

type PlainObject = Readonly<Record<string, unknown>>

/**
 * The smallest JSON merge patch (RFC 7386) that turns `before` into `after`, or undefined when
 * nothing differs. Members that vanish, or become undefined, are given as null.
 */
export function mergePatchBetween(before: object, after: object): PlainObject | undefined {
  const patch: Record<string, unknown> = {}
  const old: PlainObject = { ...before }
  const wanted: PlainObject = { ...after }
  for (const name of new Set([...Object.keys(old), ...Object.keys(wanted)])) {
    const difference = differenceOf(old[name], wanted[name])
    if (difference !== undefined) patch[name] = difference
  }
  return Object.keys(patch).length === 0 ? undefined : patch
}

function differenceOf(before: unknown, after: unknown): unknown {
  if (after === undefined) return before === undefined ? undefined : null
  if (isPlainObject(before) && isPlainObject(after)) return mergePatchBetween(before, after)
  return isDeepStrictEqual(before, after) ? undefined : after
}

function isPlainObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
