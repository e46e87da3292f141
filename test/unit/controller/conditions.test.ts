import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergeConditions } from '../../../src/controller/conditions.ts'
import { mergePatchBetween } from '../../../src/controller/status-patch.ts'
import { aCondition, at, createdMs } from './builders.ts'

const stamp = { generation: 4, nowMs: createdMs + 50_000 }

describe('merged conditions', () => {
  it('keep what is not named, in its place', () => {
    const before = [aCondition('A', 'True/One'), aCondition('B', 'False/Two')]
    const drafts = [{ type: 'B', status: 'True' as const, reason: 'Three', message: 'm' }]
    expect(mergeConditions(before, drafts, stamp)).toEqual([
      before[0],
      { ...drafts[0], observedGeneration: 4, lastTransitionTime: at(50) },
    ])
  })

  it('keep the time of the last flip when only the reason changes', () => {
    const before = [aCondition('A', 'False/One')]
    const drafts = [{ type: 'A', status: 'False' as const, reason: 'Two', message: '' }]
    expect(mergeConditions(before, drafts, stamp)[0]).toMatchObject({
      reason: 'Two',
      lastTransitionTime: at(0),
    })
  })

  it('take the later of two drafts of one type', () => {
    const draft = { type: 'A', status: 'False' as const, reason: 'One', message: '' }
    const merged = mergeConditions(undefined, [draft, { ...draft, reason: 'Two' }], stamp)
    expect(merged.map(({ reason }) => reason)).toEqual(['Two'])
  })
})

/** RFC 7386 as it is written there. */
function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target)
  const result: Record<string, unknown> = isObject ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else result[name] = applyMergePatch(result[name], value)
  }
  return result
}

const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.array(fc.integer()))
const { object } = fc.letrec<{ object: Record<string, unknown>; value: unknown }>((tie) => ({
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { noNullPrototype: true }),
  value: fc.oneof({ maxDepth: 3 }, leaf, tie('object')),
}))

describe('a status patch', () => {
  it('turns the old status into the new one, whatever they are', () => {
    fc.assert(
      fc.property(object, object, (before, after) => {
        expect(applyMergePatch(before, mergePatchBetween(before, after) ?? {})).toEqual(after)
      }),
    )
  })

  it('is absent when nothing differs', () => {
    fc.assert(
      fc.property(object, (status) => {
        expect(mergePatchBetween(status, structuredClone(status))).toBeUndefined()
      }),
    )
  })

  it('removes a field that became undefined, also inside', () => {
    const before = { attempt: { number: 1, podUID: 'x' }, retryTime: 't' }
    const after = { attempt: { number: 2, podUID: undefined }, retryTime: undefined }
    expect(mergePatchBetween(before, after)).toEqual({
      attempt: { number: 2, podUID: null },
      retryTime: null,
    })
  })
})
