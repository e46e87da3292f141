import { type Clock, timestamp } from '../../shared/clock.ts'
import { type KubeClient, scopedClient } from './client.ts'
import { isNotFound } from './errors.ts'
import { createObject, mergePatch } from './objects.ts'
import { type AnyKind, apiVersionOf, events } from './resources.ts'
import type { KubeObject } from './types.ts'

/** One thing worth telling about an object, as `kubectl describe` shows it. */
export type EventNote = {
  readonly kind: AnyKind
  readonly object: KubeObject
  readonly type: 'Normal' | 'Warning'
  /** Constant CamelCase word. */
  readonly reason: string
  /** A sentence; the same sentence again only raises the count of the first event. */
  readonly message: string
}

export type EventRecorderOptions = {
  readonly client: KubeClient
  /** Name of the process, such as `atelier-controller`. */
  readonly component: string
  readonly clock: Clock
  readonly random: () => number
  readonly onError?: ((error: unknown) => void) | undefined
}

export type EventRecorder = {
  /** Returns at once and never throws; when too much waits, the note is dropped. */
  readonly record: (note: EventNote) => void
  /** Waits some seconds until what was recorded is written, and gives up the rest. */
  readonly close: () => Promise<void>
}

const WAITING_MAX = 1_000
const SERIES_MAX = 4_096
/** After this long without repetition the same sentence is a new event. */
const SERIES_MS = 600_000
/** etcd forgets events after an hour, and the message has a limit in the API. */
const MESSAGE_CHARACTERS_MAX = 1_024
const WRITE_TIMEOUT_MS = 5_000
const CLOSE_TIMEOUT_MS = 5_000
/** Events of cluster-scoped objects live there by convention. */
const CLUSTER_SCOPED_NAMESPACE = 'default'

/** Writes core/v1 Events one after the other; losing one is never an error for the caller. */
export function startEventRecorder(options: EventRecorderOptions): EventRecorder {
  const recorder = new Recorder(options)
  return {
    record: (note) => recorder.record(note),
    close: async () => await recorder.close(),
  }
}

type Series = {
  readonly name: string
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
}

class Recorder {
  readonly #options: EventRecorderOptions
  readonly #client: KubeClient
  /** Repetitions by what makes two events the same; the oldest is at the front. */
  readonly #series = new Map<string, Series>()
  readonly #waiting: EventNote[] = []
  readonly #giveUp = new AbortController()
  #writing: Promise<void> | undefined

  constructor(options: EventRecorderOptions) {
    this.#options = options
    this.#client = scopedClient(options.client, {
      timeoutMs: WRITE_TIMEOUT_MS,
      signal: this.#giveUp.signal,
    })
  }

  record(note: EventNote): void {
    if (this.#waiting.length >= WAITING_MAX) return
    this.#waiting.push(note)
    this.#writing ??= this.#writeAll()
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => {
      this.#waiting.length = 0
      this.#giveUp.abort(new Error('the event recorder was closed'))
    }, CLOSE_TIMEOUT_MS)
    await this.#writing
    clearTimeout(timer)
  }

  async #writeAll(): Promise<void> {
    for (let note = this.#waiting.shift(); note !== undefined; note = this.#waiting.shift()) {
      try {
        await this.#write(note)
      } catch (error) {
        this.#report(error)
      }
    }
    this.#writing = undefined
  }

  async #write(note: EventNote): Promise<void> {
    const id = seriesId(note)
    const nowMs = this.#options.clock.nowMs()
    const known = this.#series.get(id)
    this.#series.delete(id)
    if (known !== undefined && nowMs - known.lastMs < SERIES_MS) {
      const next = { ...known, count: known.count + 1, lastMs: nowMs }
      if (await this.#repeat(note, next)) return this.#remember(id, next)
    }
    const first = { name: this.#newName(note), count: 1, firstMs: nowMs, lastMs: nowMs }
    await this.#create(note, first)
    this.#remember(id, first)
  }

  async #repeat(note: EventNote, { name, count, lastMs }: Series): Promise<boolean> {
    try {
      const patch = { count, lastTimestamp: timestamp(lastMs) }
      await mergePatch(this.#client, events, { name, namespace: namespaceOf(note), patch })
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }

  async #create(note: EventNote, series: Series): Promise<void> {
    const { name, namespace, uid, resourceVersion } = note.object.metadata
    await createObject(this.#client, events, {
      metadata: { name: series.name, namespace: namespaceOf(note) },
      involvedObject: {
        apiVersion: apiVersionOf(note.kind),
        kind: note.kind.kind,
        name,
        namespace,
        uid,
        resourceVersion,
      },
      type: note.type,
      reason: note.reason,
      message: note.message.slice(0, MESSAGE_CHARACTERS_MAX),
      count: 1,
      firstTimestamp: timestamp(series.firstMs),
      lastTimestamp: timestamp(series.lastMs),
      source: { component: this.#options.component },
      reportingComponent: this.#options.component,
      reportingInstance: this.#options.component,
    })
  }

  /** Names are unique and sort by time, as client-go's do: object, then a hexadecimal stamp. */
  #newName(note: EventNote): string {
    const stamp = Math.trunc(this.#options.clock.nowMs()).toString(16)
    const noise = Math.trunc(this.#options.random() * 2 ** 32).toString(16)
    return `${note.object.metadata.name.slice(0, 220)}.${stamp}${noise.padStart(8, '0')}`
  }

  #remember(id: string, series: Series): void {
    this.#series.set(id, series)
    if (this.#series.size <= SERIES_MAX) return
    const [oldest] = this.#series.keys()
    if (oldest !== undefined) this.#series.delete(oldest)
  }

  #report(error: unknown): void {
    try {
      this.#options.onError?.(error)
    } catch {
      // Events are best effort, and so is complaining about them.
    }
  }
}

function seriesId({ object, type, reason, message }: EventNote): string {
  return JSON.stringify([object.metadata.uid, type, reason, message])
}

function namespaceOf({ object }: EventNote): string {
  return object.metadata.namespace ?? CLUSTER_SCOPED_NAMESPACE
}
