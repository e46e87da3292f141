import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'
import { annotations } from '../../shared/names.ts'
import { sleep } from '../clock/sleep.ts'
import { type KubeClient, scopedClient } from './client.ts'
import { isAlreadyExists, isConflict, isNotFound, unlessNotFound } from './errors.ts'
import { createObject, getObject, mergePatch } from './objects.ts'
import { type Lease, leases } from './resources.ts'
import type { Draft } from './types.ts'

export type ElectionOptions = {
  readonly client: KubeClient
  readonly lease: { readonly namespace: string; readonly name: string }
  /** Who this candidate is; unique per process. */
  readonly identity: string
  /**
   * A holder whose identity begins with this is known to have ended, so that nobody waits for it:
   * an earlier process of the same pod.
   */
  readonly predecessorPrefix?: string | undefined
  /** Where the leader's HTTP is found; written to the annotation `atelier.dev/address`. */
  readonly address?: string | undefined
  /** How long others leave a leader in office that says nothing. */
  readonly leaseSeconds: number
  /** Only for the times that people read; nothing is decided by them. */
  readonly clock: Clock
  /** A clock that nobody sets, in milliseconds from any beginning. */
  readonly monotonicMs: () => number
  readonly random: () => number
  /** Told of every fault; the candidate goes on by itself. */
  readonly onError?: ((error: unknown) => void) | undefined
}

export type Election = {
  /** Resolves when this candidate leads; rejects when it was stopped before. */
  readonly leading: () => Promise<void>
  /** Whether this process may act now; false well before anybody else can lead. */
  readonly isLeading: () => boolean
  /** Resolves, once, when the lead is lost; never when `stop` gave it up. */
  readonly lost: () => Promise<AppError>
  /** Gives the lease back, so that a successor begins at once. End the work before. */
  readonly stop: () => Promise<void>
}

/** client-go's 15 s, 10 s and 2 s, in parts of the first. */
const RENEW_DEADLINE_SHARE = 2 / 3
const RETRY_SHARE = 2 / 15
/** Of the deadline, so that a request that hangs leaves time for another one. */
const REQUEST_SHARE = 1 / 2
const RETRY_JITTER = 1.2
const TOO_LATE = 'it could not be renewed in time'

/**
 * Stands for election by a Lease as client-go's leaderelection does. Clocks may differ: a lease
 * has run out when it did not change for its duration since *we* first saw it so, by our own
 * monotonic clock. Who leads renews it and counts from the moment when the renewal was *sent*.
 * Two processes may still believe in their lead for a moment (a frozen one that has sent its
 * write already), so every write must be safe by itself: resourceVersions and unique names.
 */
export function standForElection(options: ElectionOptions): Election {
  const candidate = new Candidate(options)
  return {
    leading: async () => await candidate.leading.promise,
    isLeading: () => candidate.isLeading,
    lost: async () => await candidate.lost.promise,
    stop: async () => await candidate.stop(),
  }
}

type Seen = { readonly resourceVersion: string; readonly atMs: number }

class Candidate {
  readonly leading = Promise.withResolvers<void>()
  readonly lost = Promise.withResolvers<AppError>()
  readonly #options: ElectionOptions
  readonly #leaseMs: number
  readonly #deadlineMs: number
  readonly #client: KubeClient
  readonly #over = new AbortController()
  readonly #finished: Promise<void>
  /** The version that somebody else wrote last, and since when we know it. */
  #seen: Seen = { resourceVersion: '', atMs: 0 }
  /** The lease as we wrote it last; undefined when it has to be read anew. */
  #mine: Lease | undefined
  /** When the last renewal was sent; undefined when we do not lead. */
  #renewedMs: number | undefined
  #deadline: NodeJS.Timeout | undefined

  constructor(options: ElectionOptions) {
    this.#options = options
    this.#leaseMs = options.leaseSeconds * 1000
    this.#deadlineMs = this.#leaseMs * RENEW_DEADLINE_SHARE
    const timeoutMs = this.#deadlineMs * REQUEST_SHARE
    this.#client = scopedClient(options.client, { timeoutMs, signal: this.#over.signal })
    // Whoever does not ask for leading() must not be hit by its rejection.
    this.leading.promise.catch(() => undefined)
    this.#finished = this.#run()
  }

  /** Asks the clock, not the timer: a blocked process wakes up with its timers late. */
  get isLeading(): boolean {
    if (this.#renewedMs === undefined) return false
    return this.#options.monotonicMs() - this.#renewedMs < this.#deadlineMs
  }

  async stop(): Promise<void> {
    const isHeld = this.isLeading
    this.#end('the election was stopped')
    await this.#finished
    if (isHeld) await this.#release().catch((error: unknown) => this.#report(error))
  }

  async #run(): Promise<void> {
    const { signal } = this.#over
    const retryMs = this.#leaseMs * RETRY_SHARE
    while (!signal.aborted) {
      await this.#step().catch((error: unknown) => {
        if (!signal.aborted) this.#report(error)
      })
      // A leader keeps its rhythm; the others must not come all at once.
      const jitter = this.isLeading ? 0 : RETRY_JITTER * this.#options.random()
      await sleep(retryMs * (1 + jitter), signal)
    }
  }

  async #step(): Promise<void> {
    // After a blocked event loop this may come before the timer that says the same.
    if (this.#renewedMs !== undefined && !this.isLeading) return this.#lose(TOO_LATE)
    const startedMs = this.#options.monotonicMs()
    const mine = this.#mine
    this.#mine = undefined
    // As long as nobody else writes, what we wrote is what there is, and need not be read.
    if (mine !== undefined && (await this.#write(mine, startedMs))) return
    const lease = await this.#read()
    if (lease === undefined) await this.#create(startedMs)
    else if (this.#hasLostTo(holderOf(lease))) this.#lose(`${holderOf(lease)} has taken it`)
    else if (this.#mayTake(lease)) await this.#write(lease, startedMs)
  }

  #hasLostTo(holder: string): boolean {
    return this.#renewedMs !== undefined && holder !== '' && holder !== this.#options.identity
  }

  async #read(): Promise<Lease | undefined> {
    const lease = await getObject(this.#client, leases, this.#options.lease).catch(unlessNotFound)
    const resourceVersion = lease?.metadata.resourceVersion ?? ''
    if (resourceVersion !== this.#seen.resourceVersion) {
      this.#seen = { resourceVersion, atMs: this.#options.monotonicMs() }
    }
    return lease
  }

  #mayTake(lease: Lease): boolean {
    const { identity, predecessorPrefix, monotonicMs } = this.#options
    const holder = holderOf(lease)
    if (holder === '' || holder === identity) return true
    if (predecessorPrefix !== undefined && holder.startsWith(predecessorPrefix)) return true
    // The holder's own word, for it may have been told another duration than we.
    const { leaseDurationSeconds } = lease.spec ?? {}
    const leaseMs = (leaseDurationSeconds ?? this.#options.leaseSeconds) * 1000
    return monotonicMs() - this.#seen.atMs >= leaseMs
  }

  /** False when somebody else has written meanwhile. */
  async #write(lease: Lease, startedMs: number): Promise<boolean> {
    const { uid, resourceVersion } = lease.metadata
    const { address = null } = this.#options
    const patch = {
      metadata: { uid, resourceVersion, annotations: { [annotations.leaderAddress]: address } },
      spec: this.#spec(lease),
    }
    const writing = mergePatch(this.#client, leases, { ...this.#options.lease, patch })
    return this.#hold(await writing.catch(unlessOvertaken), startedMs)
  }

  async #create(startedMs: number): Promise<boolean> {
    const { lease, address } = this.#options
    const own: Draft<Lease>['metadata'] =
      address === undefined
        ? lease
        : { ...lease, annotations: { [annotations.leaderAddress]: address } }
    const draft = { metadata: own, spec: this.#spec() }
    const creating = createObject(this.#client, leases, draft)
    return this.#hold(await creating.catch(unlessOvertaken), startedMs)
  }

  #spec(before?: Lease): NonNullable<Lease['spec']> {
    const { identity, clock, leaseSeconds } = this.#options
    const now = microTime(clock.nowMs())
    const { acquireTime = now, leaseTransitions = 0 } = before?.spec ?? {}
    const isNew = before !== undefined && holderOf(before) !== identity
    return {
      holderIdentity: identity,
      leaseDurationSeconds: leaseSeconds,
      acquireTime: isNew ? now : acquireTime,
      renewTime: now,
      leaseTransitions: isNew ? leaseTransitions + 1 : leaseTransitions,
    }
  }

  #hold(lease: Lease | undefined, startedMs: number): boolean {
    if (lease === undefined || this.#over.signal.aborted) return false
    this.#mine = lease
    this.#renewedMs = startedMs
    const leftMs = startedMs + this.#deadlineMs - this.#options.monotonicMs()
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => this.#lose(TOO_LATE), leftMs)
    if (this.isLeading) this.leading.resolve()
    return true
  }

  #lose(why: string): void {
    const { namespace, name } = this.#options.lease
    const reason = this.#end(`the lead is lost, Lease ${namespace}/${name}: ${why}`)
    this.lost.resolve(reason)
  }

  #end(message: string): AppError {
    const reason = new AppError('platform.unavailable', message)
    clearTimeout(this.#deadline)
    this.#renewedMs = undefined
    this.#over.abort(reason)
    this.leading.reject(reason)
    return reason
  }

  /** Nobody holds it any more: a successor need not wait until it has run out. */
  async #release(): Promise<void> {
    const { client, lease: ref, identity, clock } = this.#options
    const scoped = scopedClient(client, { timeoutMs: this.#deadlineMs * REQUEST_SHARE })
    // A renewal that was cut off may have had its effect.
    const lease = this.#mine ?? (await getObject(scoped, leases, ref))
    if (holderOf(lease) !== identity) return
    const { uid, resourceVersion } = lease.metadata
    const patch = {
      metadata: { uid, resourceVersion, annotations: { [annotations.leaderAddress]: null } },
      spec: { holderIdentity: null, renewTime: microTime(clock.nowMs()) },
    }
    await mergePatch(scoped, leases, { ...ref, patch }).catch(unlessOvertaken)
  }

  #report(error: unknown): void {
    try {
      this.#options.onError?.(error)
    } catch {
      // The reporter itself is broken: the lease must be renewed all the same.
    }
  }
}

function holderOf(lease: Lease): string {
  return lease.spec?.holderIdentity ?? ''
}

function unlessOvertaken(error: unknown): undefined {
  if (!isConflict(error) && !isAlreadyExists(error) && !isNotFound(error)) throw error
}

/** metav1.MicroTime has six digits after the point. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
