/** Bounds of what the wire of a pool pod takes and remembers. */

export const keyBytesMin = 16

/** Ended jobs whose result can still be asked for. */
export const rememberedJobsMax = 1_000

/** An assignment has some 200 bytes. */
export const bodyBytesMax = 16 * 1024
/** One controller needs one for each slot and one for the state. */
export const connectionsMax = 256
export const headersTimeoutMs = 5_000
export const requestTimeoutMs = 10_000
/** Longer than the longest poll. */
export const socketTimeoutMs = 75_000
/** For the last answers, once nothing runs any more. */
export const closeTimeoutMs = 2_000
