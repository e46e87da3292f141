import { describe, expect, it } from 'vitest'
import { covers } from '../../../src/controller/covers.ts'

describe('an object covers what was asked for', () => {
  it.each([
    ['when it is the same', { a: 1 }, { a: 1 }],
    ['with defaults beside it', { a: 1, b: { c: 2 } }, { a: 1 }],
    ['with defaults in named items', { items: [{ name: 'x', a: 1 }] }, { items: [{ name: 'x' }] }],
    [
      'with items of others between its own',
      { items: [{ name: 'y' }, { name: 'x' }] },
      { items: [{ name: 'x' }] },
    ],
    ['with an absent field that was given as undefined', {}, { a: undefined }],
    ['without a text that was empty', { name: 'x' }, { name: 'x', value: '' }],
    [
      'with quantities written in another way',
      { requests: { memory: '64Mi', cpu: '1' }, sizeLimit: '1Gi' },
      { requests: { memory: '67108864', cpu: '1000m' }, sizeLimit: '1073741824' },
    ],
  ])('%s', (_how, actual, wanted) => {
    expect(covers(actual, wanted)).toBe(true)
  })

  it.each([
    ['when a value differs', { a: 1 }, { a: 2 }],
    ['when a member is missing', {}, { a: 1 }],
    ['when a named item is missing', { items: [{ name: 'y' }] }, { items: [{ name: 'x' }] }],
    [
      'when a named item differs',
      { items: [{ name: 'x', a: 1 }] },
      { items: [{ name: 'x', a: 2 }] },
    ],
    ['when a list without names is longer', { items: [1, 2] }, { items: [1] }],
    ['when a list without names has another order', { items: [1, 2] }, { items: [2, 1] }],
    ['when a list is none', { items: 'x' }, { items: ['x'] }],
    ['when an object is none', { a: 'x' }, { a: { b: 1 } }],
    ['when a text only looks like the same quantity', { value: '1k' }, { value: '1000' }],
    ['when an amount differs', { limits: { cpu: '1' } }, { limits: { cpu: '100m' } }],
  ])('not %s', (_how, actual, wanted) => {
    expect(covers(actual, wanted)).toBe(false)
  })
})
