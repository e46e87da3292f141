/** How long and how often; tests take smaller ones. */
export type FetchTiming = {
  /** Between two signs of life of a lock's holder. */
  readonly lockBeatMs: number
  /** Without one for so long a lock may be taken over. */
  readonly lockStaleMs: number
  /** Between two signs of life of a pod that uses a pack. */
  readonly leaseBeatMs: number
  /** Without one for so long the pod is taken for gone, and the pack may be evicted. */
  readonly leaseStaleMs: number
  /** Between two looks of those who wait for a lock. */
  readonly pollMs: number
  /** Until the headers of an answer are there, and between two pieces of its body. */
  readonly stallMs: number
  readonly retryFirstMs: number
  readonly retryMaxMs: number
  /** Tries in a row that brought not one byte. */
  readonly fruitlessTriesMax: number
}

export const fetchTiming: FetchTiming = {
  lockBeatMs: 5000,
  lockStaleMs: 30_000,
  leaseBeatMs: 60_000,
  leaseStaleMs: 600_000,
  pollMs: 1000,
  stallMs: 30_000,
  retryFirstMs: 500,
  retryMaxMs: 30_000,
  fruitlessTriesMax: 8,
}

/** Leases that their pods could not end are kept this long, for the time of the last use. */
export const LEASE_KEPT_MS = 86_400_000

/**
 * Kept free on the disk of a cache: leases, locks and manifests are written before anybody can be
 * evicted for them.
 */
export const RESERVE_BYTES = 64 * 2 ** 20

/** A slow server is waited for no longer than this in all. */
export const FETCH_MS_MAX = 6 * 3_600_000
export const FILES_AT_ONCE = 4
export const REDIRECTS_MAX = 5
/** Some 400 bytes for each of at most 1,000 files. */
export const MANIFEST_BYTES_MAX = 4 * 2 ** 20
/** Bytes that differ from their digest are fetched anew so often. */
export const WHOLE_TRIES_MAX = 2
/** Pods that begin to use a pack just as it is to be evicted make another plan necessary. */
export const EVICTION_PLANS_MAX = 5
export const POST_EVERY_MS = 1000
export const LOG_EVERY_MS = 10_000
/** Over which the speed is measured. */
export const SPEED_WINDOW_MS = 15_000
