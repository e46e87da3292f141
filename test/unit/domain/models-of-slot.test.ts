import { expect, it } from 'vitest'
import { modelsOfSlot } from '../../../src/shared/wire/pool.ts'

it.each([
  [['a', 'b', 'c'], 0, ['a', 'b', 'c']],
  [['a', 'b', 'c'], 2, ['c', 'a', 'b']],
  [['a', 'b', 'c'], 4, ['b', 'c', 'a']],
  [['a'], 7, ['a']],
  [[], 1, []],
])('of the models %j slot %i has its own first: %j', (models, index, expected) => {
  expect(modelsOfSlot(models, index)).toEqual(expected)
})
