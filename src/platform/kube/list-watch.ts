import type { Clock } from '../../shared/clock.ts'
import { sleep } from '../clock/sleep.ts'
import type { KubeClient } from './client.ts'
import { startPacing } from './list-watch-pacing.ts'
import { isGone, KubeError, kubeErrorOf } from './errors.ts'
import { type ObjectPage, PAGE_SIZE } from './objects.ts'
import { keyOf, pathOf, type ResourceKind } from './resources.ts'
import { type Change, type Lister, Store } from './store.ts'
import type { KubeObject } from './types.ts'
import { parseWatchEvent } from './watch-event.ts'

export type { Lister } from './store.ts'

export type ListWatchOptions<T extends KubeObject> = {
  readonly client: KubeClient
  readonly kind: ResourceKind<T>
  /** Without it: all namespaces. */
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  /** Told which key changed, never what happened; it should only enqueue. */
  readonly onChange?: ((key: string) => void) | undefined
  /** Keys to report for an object, old and new, instead of its own: those of its owner, say. */
  readonly keysOf?: ((object: T) => readonly string[]) | undefined
  /** Values under which `lister.listIndexed` finds an object. */
  readonly indexBy?: ((object: T) => readonly string[]) | undefined
  /** Told of every fault; the list-watch goes on by itself. */
  readonly onError?: ((error: unknown) => void) | undefined
  readonly clock: Clock
  readonly random: () => number
  readonly signal?: AbortSignal | undefined
  /** Only tests change them. */
  readonly limits?: Partial<ListWatchLimits> | undefined
}

export type ListWatch<T> = {
  readonly lister: Lister<T>
  /** Resolves after the first complete list; rejects when stopped before that. */
  readonly synced: () => Promise<void>
  readonly isSynced: () => boolean
  /** Resolves when nothing runs any more; onChange is not called after that. */
  readonly stop: () => Promise<void>
}

export type ListWatchLimits = {
  readonly listTimeoutMs: number
  readonly silenceMs: number
  readonly watchSecondsMin: number
  /** The next list comes after at most this long and one watch. */
  readonly relistMs: number
  readonly pageSize: number
}

const DEFAULT_LIMITS: ListWatchLimits = {
  listTimeoutMs: 30_000,
  // The server ends a watch after this long, or up to half as long again, to spread reconnections.
  // That bounds its silence: a kind of which nothing was written since the API server started has
  // no bookmarks at all, others one every 60 s and one 2 s before the end (measured on 1.35).
  watchSecondsMin: 30,
  silenceMs: 55_000,
  // With the longest watch less than the five minutes after which whatever a watch did not tell
  // is found at the latest: an event that was lost on the way, or a kind that cannot be watched.
  relistMs: 240_000,
  pageSize: PAGE_SIZE,
}

const PAGES_MAX = 10_000
/** So many watches refused in a row: the position itself may be what is wrong, so list again. */
const REFUSED_WATCHES_MAX = 3
/** So many lists in a row older than what is known: etcd was restored from a backup. */
const STALE_LISTS_MAX = 3

/** Keeps a cache of one kind equal to the API server, for ever, whatever happens to either. */
export function startListWatch<T extends KubeObject>(options: ListWatchOptions<T>): ListWatch<T> {
  const loop = new Loop(options)
  return {
    lister: loop.lister,
    synced: async () => await loop.synced.promise,
    isSynced: () => loop.isSynced,
    stop: async () => await loop.stop(),
  }
}

class Loop<T extends KubeObject> {
  readonly synced = Promise.withResolvers<void>()
  isSynced = false
  readonly #options: ListWatchOptions<T>
  readonly #limits: ListWatchLimits
  readonly #store: Store<T>
  readonly #stopping = new AbortController()
  readonly #signal: AbortSignal
  /** Keys whose handler threw; they are reported again with the next event. */
  readonly #unreported = new Set<string>()
  readonly #finished: Promise<void>
  /** Where the next watch begins; undefined when the cache must be listed anew. */
  #position: string | undefined
  #relistAtMs = Infinity
  #newest = 0n
  #staleLists = 0
  #paged = true

  constructor(options: ListWatchOptions<T>) {
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#store = new Store((object) => this.#guarded(() => options.indexBy?.(object)))
    const own = this.#stopping.signal
    this.#signal = options.signal === undefined ? own : AbortSignal.any([own, options.signal])
    // Whoever does not ask for synced() must not be hit by its rejection.
    this.synced.promise.catch(() => undefined)
    this.#finished = this.#run()
  }

  get lister(): Lister<T> {
    return this.#store.lister
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the list-watch was stopped'))
    await this.#finished
  }

  async #run(): Promise<void> {
    const pacing = startPacing(this.#options)
    let refusedWatches = 0
    while (!this.#signal.aborted) {
      const watching = this.#position !== undefined
      const watchSeconds = this.#drawWatchSeconds()
      pacing.begin(watchSeconds * 1000)
      const { error, news } = await this.#step(watchSeconds).then(
        (told) => ({ error: undefined, news: told }),
        (caught: unknown) => ({ error: caught ?? new Error('the cause is unknown'), news: false }),
      )
      if (this.#signal.aborted) break
      if (error !== undefined) this.#report(error)
      refusedWatches = watching && pacing.isRefusal(error) ? refusedWatches + 1 : 0
      const isDoubtful = isGone(error) || refusedWatches >= REFUSED_WATCHES_MAX
      this.#keepPosition(!isDoubtful)
      if (watching || error !== undefined) await sleep(pacing.end(error, { news }), this.#signal)
    }
    this.synced.reject(this.#signal.reason)
  }

  #keepPosition(isGood: boolean): void {
    const isListDue = this.#options.clock.nowMs() >= this.#relistAtMs
    if (!isGood || isListDue) this.#position = undefined
  }

  #drawWatchSeconds(): number {
    return Math.ceil(this.#limits.watchSecondsMin * (1 + this.#options.random() / 2))
  }

  /** Whether a watch has told changes. */
  async #step(watchSeconds: number): Promise<boolean> {
    if (this.#position !== undefined) return await this.#watch(this.#position, watchSeconds)
    await this.#list()
    return false
  }

  async #list(): Promise<void> {
    const { items, metadata } = await this.#readPages()
    const acceptOlder = this.#checkAge(metadata.resourceVersion)
    this.#newest = BigInt(metadata.resourceVersion)
    this.#position = metadata.resourceVersion
    const { clock, random } = this.#options
    // Kinds and processes that began together do not list together again.
    this.#relistAtMs = clock.nowMs() + this.#limits.relistMs * (1 - random() / 4)
    for (const change of this.#store.replace(items, { acceptOlder })) this.#announce(change)
    this.isSynced = true
    this.synced.resolve()
  }

  /**
   * The reads are consistent (no resourceVersion given), so a list older than what is known is
   * a fault; when the API server insists, its etcd was restored and the older list is the truth.
   */
  #checkAge(resourceVersion: string): boolean {
    const older = BigInt(resourceVersion) < this.#newest
    this.#staleLists = older ? this.#staleLists + 1 : 0
    if (!older) return false
    if (this.#staleLists >= STALE_LISTS_MAX) return true
    throw new KubeError({
      status: 504,
      reason: 'StaleList',
      message: `the list is older (${resourceVersion}) than what is known (${this.#newest})`,
    })
  }

  async #readPages(): Promise<ObjectPage<T>> {
    const items: T[] = []
    let token: string | undefined
    for (let pages = 0; pages < PAGES_MAX; pages += 1) {
      const page = await this.#readPage(token)
      items.push(...page.items)
      token = page.metadata.continue
      if (token === undefined || token === '') {
        this.#paged = true
        return { items, metadata: page.metadata }
      }
    }
    throw new KubeError({ status: 500, reason: 'TooLarge', message: 'the list has too many pages' })
  }

  async #readPage(token: string | undefined): Promise<ObjectPage<T>> {
    const { client, kind, namespace, labelSelector, fieldSelector } = this.#options
    try {
      return await client.request<ObjectPage<T>>({
        method: 'GET',
        path: pathOf(kind, { namespace }),
        query: {
          labelSelector,
          fieldSelector,
          limit: this.#paged ? this.#limits.pageSize : undefined,
          continue: token,
        },
        timeoutMs: this.#limits.listTimeoutMs,
        signal: this.#signal,
        // A refused list is this loop's to pace; a refused page must not waste those before it.
        repetitionsMax: token === undefined ? 0 : undefined,
      })
    } catch (error) {
      // Compaction overtook the pages: one whole list cannot be overtaken.
      if (isGone(error) && token !== undefined) this.#paged = false
      throw error
    }
  }

  async #watch(position: string, watchSeconds: number): Promise<boolean> {
    const { client, kind, namespace, labelSelector, fieldSelector } = this.#options
    const { silenceMs } = this.#limits
    const lines = await client.stream({
      path: pathOf(kind, { namespace }),
      query: {
        labelSelector,
        fieldSelector,
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: position,
        timeoutSeconds: watchSeconds,
      },
      silenceMs,
      signal: this.#signal,
    })
    let news = false
    for await (const line of lines) {
      if (this.#signal.aborted) return news
      news = this.#take(line) || news
    }
    return news
  }

  /** Whether it is more than a bookmark. */
  #take(line: string): boolean {
    const event = parseWatchEvent<T>(line)
    if (event.type === 'ERROR') throw kubeErrorOf({ status: 500, body: event.object })
    const { object } = event
    const version = object.metadata.resourceVersion
    this.#reportAgain()
    if (event.type !== 'BOOKMARK') {
      const change = event.type === 'DELETED' ? this.#store.delete(object) : this.#store.put(object)
      if (change !== undefined) this.#announce(change)
    }
    this.#position = version
    if (BigInt(version) > this.#newest) this.#newest = BigInt(version)
    return event.type !== 'BOOKMARK'
  }

  #announce({ before, after }: Change<T>): void {
    const keysOf = this.#options.keysOf ?? ((object: T) => [keyOf(object)])
    const objects = [before, after].filter((object) => object !== undefined)
    const keys = objects.flatMap((object) => this.#guarded(() => keysOf(object)))
    for (const key of new Set(keys)) this.#tell(key)
  }

  /** A caller's function that throws is reported and answers nothing. */
  #guarded(name: () => readonly string[] | undefined): readonly string[] {
    try {
      return name() ?? []
    } catch (error) {
      this.#report(error)
      return []
    }
  }

  #reportAgain(): void {
    const keys = [...this.#unreported]
    this.#unreported.clear()
    for (const key of keys) this.#tell(key)
  }

  #tell(key: string): void {
    try {
      this.#options.onChange?.(key)
    } catch (error) {
      this.#unreported.add(key)
      this.#report(error)
    }
  }

  #report(error: unknown): void {
    try {
      this.#options.onError?.(error)
    } catch {
      // The reporter itself is broken: there is nobody left to tell, and the watch must go on.
    }
  }
}
