/** Bounds of everything a pool pod waits for, repeats or remembers. */

/** How long a cancelled job may take for the step it is in, before its process is killed. */
export const cancelGraceMs = 15_000

/** Before the end of the grace period: jobs are cancelled, killed, and no report is posted. */
export const cancelReserveMs = 10_000
export const killReserveMs = 5_000
export const reportReserveMs = 1_000

/** Between two tries to get a slot warm that no model suits. */
export const warmRetryMs = { baseMs: 1_000, capMs: 60_000, jitter: 0.5 }
/** Of the wire's schema. */
export const slotMessageLengthMax = 1_024

/** One call to the api. */
export const callTimeoutMs = 15_000
/** How long a report is offered. */
export const reportForMs = 60_000
