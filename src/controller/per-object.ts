/**
 * Remembers what is made of an object of the caches for as long as the object lives: those never
 * change, and every plan looks at all of them again.
 */
export function perObject<T extends object, R>(view: (object: T) => R): (object: T) => R {
  const known = new WeakMap<T, { readonly view: R }>()
  return (object) => {
    const entry = known.get(object) ?? { view: view(object) }
    known.set(object, entry)
    return entry.view
  }
}
