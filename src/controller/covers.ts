import { parseQuantity } from '../shared/domain/admission/quantity.ts'

/**
 * Whether an object of the API server still has everything that was asked for. It may have more:
 * defaults, and what others have added. Items of lists are found by their name where they have
 * one. The API server writes quantities in its own way, and leaves empty texts out.
 */
export function covers(actual: unknown, wanted: unknown): boolean {
  return coversIn('', actual, wanted)
}

function coversIn(place: string, actual: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true
  if (isList(wanted)) return isList(actual) && coversList(place, actual, wanted)
  if (isRecord(wanted)) {
    if (!isRecord(actual)) return false
    const inner = (name: string) => (isOfQuantities(place) ? place : name)
    return Object.entries(wanted).every(([name, value]) =>
      coversIn(inner(name), actual[name], value),
    )
  }
  if (wanted === '' && actual === undefined) return true
  return actual === wanted || (isOfQuantities(place) && isSameQuantity(actual, wanted))
}

function coversList(
  place: string,
  actual: readonly unknown[],
  wanted: readonly unknown[],
): boolean {
  const names = wanted.map(nameOf)
  if (names.includes(undefined)) {
    const isSameLength = actual.length === wanted.length
    return isSameLength && wanted.every((item, index) => coversIn(place, actual[index], item))
  }
  return wanted.every((item, index) => {
    return coversIn(
      place,
      actual.find((other) => nameOf(other) === names[index]),
      item,
    )
  })
}

function nameOf(item: unknown): unknown {
  return isRecord(item) ? item['name'] : undefined
}

function isOfQuantities(place: string): boolean {
  return place === 'requests' || place === 'limits' || place === 'sizeLimit'
}

function isSameQuantity(left: unknown, right: unknown): boolean {
  if (typeof left !== 'string' || typeof right !== 'string') return false
  return parseQuantity(left) === parseQuantity(right)
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
