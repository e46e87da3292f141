/** Time as a value that is passed in, so that pure code and tests decide what “now” is. */
export type Clock = {
  /** Milliseconds since 1970-01-01 UTC. */
  readonly nowMs: () => number
}
