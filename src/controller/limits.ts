/** Bounds of everything the controller waits for, repeats or collects. */

export const RETRY_MAX_MS = 6 * 60_000
/** Attempts that the platform ended; more of them look like the job's own fault. */
export const DISRUPTIONS_MAX = 10
/** Bound of status.attempt.number in the schema. */
export const ATTEMPT_NUMBER_MAX = 1000
/** Bound of status.activeSeconds in the schema: a year. */
export const ACTIVE_SECONDS_MAX = 31_536_000

export const HOLD_RECHECK_MIN_MS = 5000
/** Credits that arrive are noticed this soon, and later only where many jobs wait. */
export const HOLD_RECHECK_MAX_MS = 15_000
export const HOLD_RECHECK_CROWDED_MAX_MS = 60_000
/**
 * As long as the longest pause allows it, jobs that wait for credits ask no more often than this
 * together, after the first rounds of each.
 */
export const HOLD_QUESTIONS_PER_SECOND = 50
/** The api is down rather than the credits short: ask sooner. */
export const UNREACHABLE_RECHECK_MIN_MS = 1000
export const UNREACHABLE_RECHECK_MAX_MS = 15_000
export const REPORT_RECHECK_MS = 2000
export const UNSEEN_RECHECK_MS = 1000
export const SETTLEMENT_RECHECK_MIN_MS = 5000
export const SETTLEMENT_RECHECK_MAX_MS = 60_000

/** A pod that still waits after this long says why in PodsReady. */
export const POD_STUCK_MS = 30_000
/** Timers of Node fire at once above 2^31 ms; an hour is early enough to look again. */
/** Timers may fire a moment early: do not come back for nothing. */
export const RECHECK_MIN_MS = 20
export const RECHECK_MAX_MS = 3_600_000

/** Changes that come this close together lead to one new admission plan. */
export const REPLAN_MS = 10
/** Planning takes at most one part in so many of the time. */
export const REPLAN_SHARE = 4
/** A created attempt that no cache shows after this long no longer keeps its place. */
export const RESERVATION_MS = 30_000

/** Longer than one model step plus 10 s: the pod must finish its report after SIGTERM. */
export const GRACE_SECONDS = 30
export const TOKEN_SECONDS = 3600
export const SCRATCH_SIZE = '8Gi'
export const MESSAGE_LENGTH_MAX = 1024

/** Reconciles at a time; most of their time is waiting for the API server or the api. */
export const QUEUE_CONCURRENCY = 16
/** Over all failed keys, as in client-go. */
export const RETRIES_PER_SECOND = 10
export const RETRIES_BURST = 100
export const API_TIMEOUT_MS = 5000
export const STOP_TIMEOUT_MS = 10_000
