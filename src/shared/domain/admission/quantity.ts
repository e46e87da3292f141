import { assert } from '../../assert.ts'

const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

const pattern =
  /^([+-]?[0-9]*\.?[0-9]+)(?:([eE][+-]?[0-9]+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/

/**
 * The number that a Kubernetes quantity such as `500m` or `2Gi` stands for.
 * Absent and unreadable quantities are 0: a Node that does not say what it has, has nothing.
 * Grammar: k8s.io/apimachinery/pkg/api/resource, type Quantity.
 */
export function parseQuantity(text: string | undefined): number {
  const match = pattern.exec(text ?? '')
  if (match === null) return 0
  const [, digits = '0', exponent = '', suffix = ''] = match
  const factor = factors[suffix]
  assert(factor !== undefined, `the pattern admits only known suffixes, not ${suffix}`)
  return Number(digits + exponent) * factor
}
