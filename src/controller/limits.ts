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
/** Timers may fire a moment early: do not come back for nothing. */
export const RECHECK_MIN_MS = 20
/** Timers of Node fire at once above 2^31 ms; an hour is early enough to look again. */
export const RECHECK_MAX_MS = 3_600_000

/** Changes that come this close together lead to one new admission plan. */
export const REPLAN_MS = 10
/** Planning takes at most one part in so many of the time, as far as a pause may last. */
export const REPLAN_SHARE = 9
export const REPLAN_MAX_MS = 2000
/**
 * What was written and no cache shows after this long is not there: an attempt no longer keeps its
 * place. Longer than a watch may be silent (55 s) before it is opened anew, with its pauses.
 */
export const UNSEEN_MAX_MS = 150_000

/** Longer than one model step plus 10 s: the pod must finish its report after SIGTERM. */
export const GRACE_SECONDS = 30
export const TOKEN_SECONDS = 3600
export const SCRATCH_SIZE = '8Gi'
/** No init container posts progress so often: one a second would take 11 days. */
export const FIRST_SEQUENCE = 1_000_000
export const MESSAGE_LENGTH_MAX = 1024

/** Reconciles at a time; most of their time is waiting for the API server or the api. */
export const QUEUE_CONCURRENCY = 64
/** Over all failed keys, as in client-go. */
export const RETRIES_PER_SECOND = 10
export const RETRIES_BURST = 100
export const API_TIMEOUT_MS = 5000
export const STOP_TIMEOUT_MS = 10_000

/** Of one exchange with a pool pod, beyond the time that it may wait on purpose. */
export const POOL_TIMEOUT_MS = 10_000
/** The largest answer is the state of 16 slots. */
export const POOL_ANSWER_BYTES_MAX = 65_536
export const POOL_KEYS_MAX = 10_000
/** A key that a pod does not accept is read from its Secret no more often than this. */
export const POOL_KEY_PAUSE_MS = 5000
/** How long a pool pod may keep a question about a running attempt. */
export const POOL_WAIT_SECONDS = 30
/** One that is answered at once is not asked again before this. */
export const POOL_WAIT_PAUSE_MS = 1000
export const POOL_RETRY_MIN_MS = 100
export const POOL_RETRY_MAX_MS = 5000
/** A slot that is still taken may be about to become free; after this long it is not. */
export const POOL_BUSY_MS = 15_000
/** After this long without an answer the API server is asked whether the pod still exists. */
export const POOL_SILENCE_MS = 15_000
/** Pause between two such questions. */
export const POOL_DOUBT_MS = 5000
/** Only of an attempt in a slot that has run this long is it written down that it runs. */
export const POOL_RUNNING_AFTER_MS = 1000
/** An attempt in a slot that has been nobody's for so long is cancelled. */
export const STRAY_SLOT_MS = 60_000
export const STRAY_SWEEP_MS = 20_000
/** How long the pod of a deleted job is asked to end what it does for it. */
export const POOL_ABANDON_MS = 60_000

/** A slot that was given back may be shown as taken by caches and pods for this long. */
export const RELEASED_SLOT_MS = 600_000
/** A queue that grows is looked at this often to see whether its pool must. */
export const POOL_WAKE_MS = 1000
/** No pool grows to make a wait shorter than this. */
export const POOL_WAIT_SECONDS_MIN = 5
/** Until the first job of a pool has told how long one takes. */
export const JOB_SECONDS_DEFAULT = 10
/** Until the first pod of a pool has told how long one takes to start. */
export const POOL_STARTUP_SECONDS_DEFAULT = 30
/** Pods that one step may add to few. */
export const POOL_STEP_PODS = 4
/** Of what no watch tells: objects of others in the way, and pods that do not start. */
export const POOL_RECHECK_MS = 30_000
/** Slots change without the API server: ask the pods now and then. */
export const POOL_STATE_MS = 15_000
/** While a slot loads its model, or a pod does not answer. */
export const POOL_STATE_SOON_MS = 500

/** A second of use counts half after this long: shares are those of a working day, not of a week. */
export const USE_HALF_LIFE_MS = 3_600_000
/** How often use that has faded is forgotten. */
export const USE_PRUNE_MS = 600_000
/** How long a job of a model takes of which none has ended yet. */
export const EXPECTED_SECONDS = 10
/** Weight of the newest run in the mean time of its model. */
export const RUN_TIME_SHARE = 0.2

/** Of the completed jobs that a new process finds, so many are measured. */
export const RUNS_LEARNED_MAX = 2000
/** Explanations take at most one part in so many of the time, and simulations the same. */
export const QUEUE_SHARE = 4
/** An answer about a waiting job may be so old. */
export const QUEUE_ANSWER_MS = 1000
/** Answers and open questions that are kept. */
export const QUEUE_ANSWERS_MAX = 10_000
/** Jobs that one computation explains: nothing else happens meanwhile. */
export const QUEUE_ROUND_JOBS_MAX = 500
/** Computations that wait for their turn. */
export const QUEUE_COMPUTATIONS_MAX = 32
export const SIMULATIONS_MAX = 4
/** The api waits no longer for an answer. */
export const SIMULATION_PATIENCE_MS = 1000
/** Nothing else happens while a forecast is made. */
export const FORECAST_COST_MS = 50
export const FORECAST_STEPS_FIRST = 32
export const FORECAST_STEPS_MIN = 4
export const FORECAST_STEPS_MAX = 512
/** What lies further ahead is not known. */
export const FORECAST_HORIZON_MS = 7 * 86_400_000
/** A run that takes longer than expected is expected to take this share of its time more. */
export const OVERDUE_SHARE = 0.1
/** Estimates that are remembered until it shows how good they were. */
export const ESTIMATES_MAX = 10_000
/** Estimates are right within this time, or half of the wait that was told, whichever is more. */
export const ESTIMATE_TOLERANCE_MS = 10_000
export const ESTIMATE_TOLERANCE_SHARE = 0.5

/** Whether Kueue has come, or gone, is asked this often. */
export const KUEUE_LOOK_MS = 300_000
/** A job that asks for Kueue lets us ask sooner, but no more often than this. */
export const KUEUE_LOOK_PAUSE_MS = 5000
/** No decision is made before it is known whether Kueue is there. */
export const KUEUE_RETRY_MS = 2000
/** Nor, for so long, before its Workloads are: other jobs must not wait for what Kueue cannot do. */
export const KUEUE_LIST_MS = 10_000

/** Of a question of the api: the largest is a simulation. */
export const QUEUE_BODY_BYTES_MAX = 262_144
export const QUEUE_CONNECTIONS_MAX = 128
/** Until a request has come, and until an idle connection is closed. */
export const QUEUE_REQUEST_TIMEOUT_MS = 5000
