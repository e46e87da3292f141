/** Fails loudly when the program's own assumption is wrong: a bug, not a user's fault. */
export function assert(fact: unknown, message: string): asserts fact {
  if (!fact) throw new Error(`assertion failed: ${message}`)
}

/** Ends a switch over a union: a new case breaks the build here. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
