import { assert } from '../../../src/shared/assert.ts'

/** A path into a value: member names and list indexes. */
export type Path = readonly (string | number)[]

/** Paths of a value that match a place such as `spec.inputs[].object.key`. */
export function pathsAt(value: unknown, place: string): Path[] {
  const steps = place === '' ? [] : place.replaceAll('[]', '.[]').split('.')
  return steps.reduce<Path[]>(
    (paths, step) => paths.flatMap((path) => children(value, path, step)),
    [[]],
  )
}

function children(value: unknown, path: Path, step: string): Path[] {
  const parent = valueAt(value, path)
  if (step === '[]') return Array.isArray(parent) ? parent.map((_, index) => [...path, index]) : []
  return valueAt(parent, [step]) === undefined ? [] : [[...path, step]]
}

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((parent, step) => {
    if (typeof parent !== 'object' || parent === null) return undefined
    return Reflect.get(parent, step)
  }, value)
}

/** A copy of the value with another value at the path; `undefined` removes it. */
export function changed<T>(value: T, path: Path, replacement: unknown): T {
  const copy = structuredClone(value)
  const last = path.at(-1)
  const parent = valueAt(copy, path.slice(0, -1))
  assert(last !== undefined && typeof parent === 'object' && parent !== null, 'the path exists')
  if (replacement === undefined) Reflect.deleteProperty(parent, last)
  else Reflect.set(parent, last, replacement)
  return copy
}

/** The path as the API server prints it: `spec.inputs[0].object.key`. */
export function fieldOf(path: Path): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .slice(1)
}
