import { keyOf } from './resources.ts'
import type { KubeObject } from './types.ts'

/** Reads the cache of a list-watch. All objects are deeply frozen. */
export type Lister<T> = {
  readonly get: (key: string) => T | undefined
  readonly list: () => readonly T[]
  /** Objects for which `indexBy` named this value. */
  readonly listIndexed: (value: string) => readonly T[]
}

/** What a write did: the object before and after it; undefined before or after it existed. */
export type Change<T> = { readonly before: T | undefined; readonly after: T | undefined }

/** Newest known version of each object of one kind. Its list-watch is the only writer. */
export class Store<T extends KubeObject> {
  readonly #objects = new Map<string, T>()
  /** By indexed value, then by key. */
  readonly #index = new Map<string, Map<string, T>>()
  readonly #indexBy: (object: T) => readonly string[]

  constructor(indexBy: (object: T) => readonly string[]) {
    this.#indexBy = indexBy
  }

  get lister(): Lister<T> {
    return {
      get: (key) => this.#objects.get(key),
      list: () => [...this.#objects.values()],
      listIndexed: (value) => this.#listIndexed(value),
    }
  }

  /** Takes the object unless the same or a newer version is known; then nothing changed. */
  put(object: T): Change<T> | undefined {
    const before = this.#objects.get(keyOf(object))
    if (before !== undefined && !isNewer(object, before)) return undefined
    return this.#set(object, before)
  }

  #set(object: T, before: T | undefined): Change<T> {
    const key = keyOf(object)
    const after = freeze(withoutManagedFields(object))
    this.#unindex(key, before)
    this.#objects.set(key, after)
    for (const value of this.#indexBy(after)) this.#indexed(value).set(key, after)
    return { before, after }
  }

  /** Forgets the object, unless a newer one of the same name is known. */
  delete(object: T): Change<T> | undefined {
    const key = keyOf(object)
    const before = this.#objects.get(key)
    if (before === undefined || isNewer(before, object)) return undefined
    this.#unindex(key, before)
    this.#objects.delete(key)
    return { before, after: undefined }
  }

  /**
   * Takes a complete list: what is not in it any more is deleted.
   * `acceptOlder` is for the case that the API server's own memory was set back.
   */
  replace(objects: readonly T[], { acceptOlder = false } = {}): readonly Change<T>[] {
    const listed = new Set(objects.map(keyOf))
    const changes: Change<T>[] = []
    for (const [key, before] of this.#objects) {
      if (listed.has(key)) continue
      this.#unindex(key, before)
      this.#objects.delete(key)
      changes.push({ before, after: undefined })
    }
    for (const object of objects) {
      const before = this.#objects.get(keyOf(object))
      const change = acceptOlder ? this.#set(object, before) : this.put(object)
      if (change !== undefined) changes.push(change)
    }
    return changes
  }

  #listIndexed(value: string): readonly T[] {
    return [...(this.#index.get(value)?.values() ?? [])]
  }

  #indexed(value: string): Map<string, T> {
    const known = this.#index.get(value)
    if (known !== undefined) return known
    const objects = new Map<string, T>()
    this.#index.set(value, objects)
    return objects
  }

  #unindex(key: string, object: T | undefined): void {
    if (object === undefined) return
    for (const value of this.#indexBy(object)) {
      const objects = this.#index.get(value)
      objects?.delete(key)
      if (objects?.size === 0) this.#index.delete(value)
    }
  }
}

/** resourceVersions are integers that only grow (KEP-5504), up to 128 bits wide. */
export function isNewer(a: KubeObject, b: KubeObject): boolean {
  return versionOf(a) > versionOf(b)
}

function versionOf(object: KubeObject): bigint {
  return BigInt(object.metadata.resourceVersion)
}

/** They are half of a typical object and nobody here reads them. */
function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (!('managedFields' in object.metadata)) return object
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const inner of Object.values(value)) freeze(inner)
  return Object.freeze(value)
}
