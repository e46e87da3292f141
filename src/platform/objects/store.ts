import type { Readable } from 'node:stream'

/** What is announced about an object before its bytes come, and kept beside them. */
export type ObjectFacts = {
  readonly sha256: string
  readonly sizeBytes: number
  readonly contentType: string
}

export type StoredObject = ObjectFacts & { readonly key: string }

export type PutOptions = ObjectFacts & { readonly signal?: AbortSignal }

export type AddOptions = {
  readonly contentType: string
  readonly sizeBytesMax: number
  /**
   * Where the bytes belong, once they have all come. They are nowhere to be seen yet: when it
   * fails, nothing is stored.
   */
  readonly keyOf: (facts: Pick<ObjectFacts, 'sha256' | 'sizeBytes'>) => string | Promise<string>
  readonly signal?: AbortSignal
}

/**
 * Bytes by key. Objects never change: a second put of the same bytes is fine, of others is refused.
 * Keys are checked by `assertObjectKey`; a bad one is AppError `request.invalid`.
 */
export type ObjectStore = {
  /**
   * Streams the bytes in. When they differ from `sizeBytes` or `sha256` nothing is stored and
   * AppError `object.mismatch` is thrown; the same when the key holds other bytes already.
   */
  readonly put: (key: string, bytes: Readable, options: PutOptions) => Promise<StoredObject>
  /**
   * Streams bytes in of which nothing is known before. Nothing is stored when the stream fails, or
   * when there are more than `sizeBytesMax`: then AppError `request.too_large`.
   */
  readonly add: (bytes: Readable, options: AddOptions) => Promise<StoredObject>
  /** Null when there is no such object. The caller reads the stream to its end or destroys it. */
  readonly get: (key: string) => Promise<(StoredObject & { readonly bytes: Readable }) | null>
  readonly head: (key: string) => Promise<StoredObject | null>
  /** True when something was there. */
  readonly delete: (key: string) => Promise<boolean>
  /** Every object whose key begins with `prefix`, in no particular order. */
  readonly list: (
    prefix: string,
  ) => AsyncIterable<{ readonly key: string; readonly sizeBytes: number }>
}
