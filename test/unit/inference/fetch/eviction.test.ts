import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type CachedPack,
  planEviction,
  type Room,
} from '../../../../src/inference/fetch/eviction.ts'

function pack(digest: string, more: Partial<CachedPack> = {}): CachedPack {
  return { digest, bytes: 10, expectedBytes: 0, inUse: false, lastUseMs: 0, ...more }
}

function plan(packs: readonly CachedPack[], more: Partial<Room> = {}) {
  return planEviction({
    packs,
    presentBytes: 0,
    neededBytes: 10,
    limitBytes: Infinity,
    freeBytes: Infinity,
    reserveBytes: 0,
    ...more,
  })
}

describe('the plan of an eviction', () => {
  it('takes nothing away while there is room', () => {
    expect(plan([pack('a')], { limitBytes: 20, freeBytes: 10 })).toEqual({
      kind: 'Fits',
      evict: [],
    })
  })

  it('begins with the pack that was used longest ago, and ends as soon as it fits', () => {
    const packs = [
      pack('b', { lastUseMs: 2 }),
      pack('a', { lastUseMs: 3 }),
      pack('c', { lastUseMs: 1 }),
    ]
    expect(plan(packs, { limitBytes: 39 })).toEqual({ kind: 'Fits', evict: ['c'] })
    expect(plan(packs, { limitBytes: 29 })).toEqual({ kind: 'Fits', evict: ['c', 'b'] })
    expect(plan(packs, { freeBytes: 0 })).toEqual({ kind: 'Fits', evict: ['c'] })
  })

  it('never takes a pack that is in use', () => {
    const packs = [pack('a', { inUse: true }), pack('b', { lastUseMs: 9 })]
    expect(plan(packs, { limitBytes: 20 })).toEqual({ kind: 'Fits', evict: ['b'] })
    expect(plan(packs, { limitBytes: 19 })).toEqual({ kind: 'Full', missingBytes: 1 })
  })

  it('takes nothing at all where that would not help', () => {
    expect(plan([pack('a')], { neededBytes: 30, limitBytes: 29 })).toEqual({
      kind: 'Full',
      missingBytes: 1,
    })
  })

  it('counts what others are still fetching as taken, on the disk and within the limit', () => {
    const coming = pack('a', { bytes: 1, expectedBytes: 9, inUse: true })
    expect(plan([coming], { freeBytes: 18 })).toEqual({ kind: 'Full', missingBytes: 1 })
    expect(plan([coming], { freeBytes: 19 })).toMatchObject({ kind: 'Fits' })
    expect(plan([coming], { limitBytes: 19 })).toEqual({ kind: 'Full', missingBytes: 1 })
  })

  it('counts what is there of the pack itself within the limit only', () => {
    const half = { presentBytes: 5, neededBytes: 5 }
    expect(plan([], { ...half, limitBytes: 10, freeBytes: 5 })).toMatchObject({ kind: 'Fits' })
    expect(plan([], { ...half, limitBytes: 9 })).toEqual({ kind: 'Full', missingBytes: 1 })
  })

  it('leaves the reserve of the disk free, and takes none of it from the limit', () => {
    const packs = [pack('a')]
    expect(plan(packs, { freeBytes: 14, reserveBytes: 4 })).toEqual({ kind: 'Fits', evict: [] })
    expect(plan(packs, { freeBytes: 13, reserveBytes: 4 })).toEqual({ kind: 'Fits', evict: ['a'] })
    const tooFull = plan(packs, { freeBytes: 3, reserveBytes: 4 })
    expect(tooFull).toEqual({ kind: 'Full', missingBytes: 1 })
    expect(plan(packs, { limitBytes: 20, reserveBytes: 4 })).toEqual({ kind: 'Fits', evict: [] })
  })

  it('wants no reserve for a pack that is there already', () => {
    const whole = { presentBytes: 10, neededBytes: 0 }
    const found = plan([pack('a')], { ...whole, freeBytes: 0, reserveBytes: 4 })
    expect(found).toEqual({ kind: 'Fits', evict: [] })
  })

  it('fits, evicts no pack in use, and none that could have stayed', () => {
    fc.assert(
      fc.property(anyPacks, anyAmounts, (packs, amounts) => {
        const found = plan(packs, amounts)
        const unused = packs.filter(({ inUse }) => !inUse).map(({ digest }) => digest)
        const evicted = found.kind === 'Fits' ? found.evict : unused
        expect(evicted.every((digest) => unused.includes(digest))).toBe(true)
        expect(fits({ packs, ...amounts }, evicted)).toBe(found.kind === 'Fits')
        const oneLess = evicted.slice(0, -1)
        const wasNeeded = evicted.length === 0 || !fits({ packs, ...amounts }, oneLess)
        expect(wasNeeded).toBe(true)
      }),
    )
  })
})

const anyPacks = fc.uniqueArray(
  fc.record({
    digest: fc.nat(1000).map(String),
    bytes: fc.nat(50),
    expectedBytes: fc.nat(5),
    inUse: fc.boolean(),
    lastUseMs: fc.nat(20),
  }),
  { selector: ({ digest }) => digest, maxLength: 12 },
)
const anyAmounts = fc.record({
  neededBytes: fc.nat(100),
  limitBytes: fc.nat(400),
  freeBytes: fc.nat(100),
  reserveBytes: fc.nat(20),
})

type Amounts = Pick<Room, 'packs' | 'neededBytes' | 'limitBytes' | 'freeBytes' | 'reserveBytes'>

function fits(room: Amounts, gone: readonly string[]): boolean {
  const { packs, neededBytes, limitBytes, freeBytes, reserveBytes } = room
  const left = packs.filter(({ digest }) => !gone.includes(digest))
  const freed = packs.filter(({ digest }) => gone.includes(digest))
  const expected = packs.reduce((sum, { expectedBytes }) => sum + expectedBytes, 0)
  const needed = expected + neededBytes
  const reserve = neededBytes > 0 ? reserveBytes : 0
  return bytesOf(left) + needed <= limitBytes && needed + reserve <= freeBytes + bytesOf(freed)
}

function bytesOf(packs: readonly CachedPack[]): number {
  return packs.reduce((sum, { bytes }) => sum + bytes, 0)
}
