/**
 * The generated types of the official client describe decoded objects, with `Date` for times.
 * Ours come straight from JSON: times stay strings, everywhere, and nothing may be changed.
 */
export type JsonOf<T> = T extends Date
  ? string
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends readonly (infer Item)[]
      ? readonly JsonOf<Item>[]
      : { readonly [Key in keyof T]: JsonOf<T[Key]> }

export type OwnerReference = {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** Metadata as the API server returns it; `managedFields` exists but nothing of ours reads it. */
export type ObjectMetadata = {
  readonly name: string
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation?: number
  readonly creationTimestamp: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  readonly finalizers?: readonly string[]
}

/** Any object that lives in the API server. */
export type KubeObject = { readonly metadata: ObjectMetadata }

/** A generated type as it looks when it comes from the API server. */
export type Live<T> = Omit<JsonOf<T>, 'metadata' | 'apiVersion' | 'kind'> & KubeObject

/** Metadata of an object that is about to be created or applied. */
export type DraftMetadata = {
  readonly name?: string
  readonly generateName?: string
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  readonly finalizers?: readonly string[]
}

/** What a caller fills in; `apiVersion` and `kind` are added from the ResourceKind. */
export type Draft<T> = Omit<T, 'metadata' | 'apiVersion' | 'kind' | 'status'> & {
  readonly metadata: DraftMetadata
}

/** For server-side apply: only the fields that the caller wants to own. */
export type ApplyDraft<T> = Partial<Omit<T, 'metadata' | 'apiVersion' | 'kind' | 'status'>> & {
  readonly metadata: DraftMetadata & { readonly name: string }
}

export type ObjectRef = { readonly name: string; readonly namespace?: string | undefined }
