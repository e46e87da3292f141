/** Time as a value that is passed in, so that pure code and tests decide what “now” is. */
export type Clock = {
  /** Milliseconds since 1970-01-01 UTC. */
  readonly nowMs: () => number
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function timestamp(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`
}
