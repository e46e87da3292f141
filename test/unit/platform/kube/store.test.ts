import { describe, expect, it } from 'vitest'
import { isNewer, Store } from '../../../../src/platform/kube/store.ts'
import type { KubeObject } from '../../../../src/platform/kube/types.ts'

type Sample = KubeObject & { readonly owner?: string; readonly spec?: { readonly value: number } }

function sample(name: string, version: number | string, rest: Partial<Sample> = {}): Sample {
  const creationTimestamp = '2026-01-01T00:00:00Z'
  const resourceVersion = String(version)
  return {
    metadata: { name, namespace: 'n', uid: `uid-${name}`, resourceVersion, creationTimestamp },
    ...rest,
  }
}

function build() {
  return new Store<Sample>(({ owner }) => (owner === undefined ? [] : [owner]))
}

describe('the store of a list-watch', () => {
  it('takes a newer version and says what was before', () => {
    const store = build()
    expect(store.put(sample('a', 1))).toMatchObject({ before: undefined })
    const change = store.put(sample('a', 2))
    expect(change?.before?.metadata.resourceVersion).toBe('1')
    expect(change?.after?.metadata.resourceVersion).toBe('2')
  })

  it('never puts the same or an older version over a newer one', () => {
    const store = build()
    store.put(sample('a', 10))
    expect(store.put(sample('a', 10))).toBeUndefined()
    expect(store.put(sample('a', 9))).toBeUndefined()
    expect(store.lister.get('n/a')?.metadata.resourceVersion).toBe('10')
  })

  it('compares versions as whole numbers of any size', () => {
    const store = build()
    store.put(sample('a', 9))
    expect(store.put(sample('a', 10))).toBeDefined()
    const wide = '340282366920938463463374607431768211455'
    expect(isNewer(sample('a', wide), sample('a', wide.replace(/5$/, '4')))).toBe(true)
    expect(isNewer(sample('a', wide.replace(/5$/, '4')), sample('a', wide))).toBe(false)
  })

  it('ignores the late deletion of an object whose name was taken again', () => {
    const store = build()
    store.put(sample('a', 10))
    expect(store.delete(sample('a', 8))).toBeUndefined()
    expect(store.lister.get('n/a')).toBeDefined()
    expect(store.delete(sample('a', 11))?.after).toBeUndefined()
    expect(store.lister.get('n/a')).toBeUndefined()
    expect(store.delete(sample('a', 12))).toBeUndefined()
  })

  it('turns a list into the changes since the last one', () => {
    const store = build()
    store.replace([sample('kept', 1), sample('changed', 2), sample('gone', 3)])
    const changes = store.replace([sample('kept', 1), sample('changed', 5), sample('new', 6)])
    const names = changes.map(({ before, after }) => [before?.metadata.name, after?.metadata.name])
    expect(names).toEqual([
      ['gone', undefined],
      ['changed', 'changed'],
      [undefined, 'new'],
    ])
    expect(store.lister.list()).toHaveLength(3)
  })

  it('takes an older list only when told that it is the truth', () => {
    const store = build()
    store.replace([sample('a', 10)])
    store.replace([sample('a', 4)])
    expect(store.lister.get('n/a')?.metadata.resourceVersion).toBe('10')
    const changes = store.replace([sample('a', 4)], { acceptOlder: true })
    expect(changes).toHaveLength(1)
    expect(store.lister.get('n/a')?.metadata.resourceVersion).toBe('4')
  })

  it('freezes what it holds, all the way down', () => {
    const store = build()
    store.put(sample('a', 1, { spec: { value: 1 } }))
    const held = store.lister.get('n/a')
    expect(Object.isFrozen(held)).toBe(true)
    expect(Object.isFrozen(held?.spec)).toBe(true)
    expect(Object.isFrozen(held?.metadata)).toBe(true)
    expect(() => Object.assign(held?.spec ?? {}, { value: 2 })).toThrow(TypeError)
  })

  it('leaves managed fields out', () => {
    const store = build()
    const { metadata } = sample('a', 1)
    store.put({ metadata: Object.assign({}, metadata, { managedFields: [{ manager: 'x' }] }) })
    expect(store.lister.get('n/a')?.metadata).not.toHaveProperty('managedFields')
  })

  it('finds objects by index through change and deletion', () => {
    const store = build()
    store.put(sample('a', 1, { owner: 'x' }))
    store.put(sample('b', 2, { owner: 'x' }))
    const names = (owner: string) => store.lister.listIndexed(owner).map((o) => o.metadata.name)
    expect(names('x')).toEqual(['a', 'b'])
    store.put(sample('a', 3, { owner: 'y' }))
    expect(names('x')).toEqual(['b'])
    expect(names('y')).toEqual(['a'])
    store.delete(sample('b', 4))
    expect(names('x')).toEqual([])
    store.replace([])
    expect(names('y')).toEqual([])
    expect(names('unknown')).toEqual([])
  })

  it('keeps objects of one name in two namespaces apart', () => {
    const store = build()
    const { metadata } = sample('a', 1)
    store.put({ metadata: { ...metadata, namespace: 'one' } })
    store.put({ metadata: { ...metadata, namespace: 'two' } })
    expect(store.lister.list()).toHaveLength(2)
  })
})
