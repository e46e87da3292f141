export const waitSecondsMax = 60

/** `wait=N` of a Prefer header (RFC 7240), cut to the maximum; 0 when there is none. */
export function readWaitSeconds(prefer: string | undefined): number {
  const [, digits] = /(?:^|[,;\s])wait\s*=\s*"?([0-9]{1,6})"?(?=$|[,;\s])/i.exec(prefer ?? '') ?? []
  return digits === undefined ? 0 : Math.min(Number(digits), waitSecondsMax)
}
