import { setImmediate as nextTurn } from 'node:timers/promises'
import { sleep } from '../../platform/clock/sleep.ts'
import type { KubeClient } from '../../platform/kube/client.ts'
import { isConflict, isInvalid, isNotFound } from '../../platform/kube/errors.ts'
import { pathOf } from '../../platform/kube/resources.ts'
import { type Pod, type PodStatus, pods } from './pod.ts'

const retryMsFirst = 200
const retryMsMax = 10_000

export type ReporterOptions = {
  readonly client: KubeClient
  readonly pod: Pod
  readonly onError: (error: unknown) => void
}

/**
 * Writes one pod's status: the latest only, one write at a time, until it has arrived. Changes of
 * one turn of the event loop become one write.
 */
export class StatusReporter {
  readonly #options: ReporterOptions
  readonly #closing = new AbortController()
  #wanted: PodStatus | undefined
  #written: string | undefined
  #writing: Promise<void> | undefined

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  report(status: PodStatus): void {
    if (this.#closing.signal.aborted) return
    this.#wanted = status
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined
    })
  }

  /** Resolves when nothing is left to write, or when the pod is gone. */
  async flushed(): Promise<void> {
    await this.#writing
  }

  /** Drops what is not yet written. */
  close(): void {
    this.#closing.abort()
  }

  async #writeAll(): Promise<void> {
    let retryMs = retryMsFirst
    await nextTurn()
    while (this.#wanted !== undefined && !this.#closing.signal.aborted) {
      const status = this.#wanted
      this.#wanted = undefined
      if (await this.#write(status)) {
        retryMs = retryMsFirst
        continue
      }
      this.#wanted ??= status
      await sleep(retryMs, this.#closing.signal)
      retryMs = Math.min(retryMs * 2, retryMsMax)
    }
  }

  /** False = try again. */
  async #write(status: PodStatus): Promise<boolean> {
    const text = JSON.stringify(status)
    if (text === this.#written) return true
    const { name, namespace, uid } = this.#options.pod.metadata
    try {
      await this.#options.client.request({
        method: 'PATCH',
        path: pathOf(pods, { namespace, name, subresource: 'status' }),
        // Merges conditions by type, so that the scheduler's stay; the uid is a precondition.
        contentType: 'application/strategic-merge-patch+json',
        body: { metadata: { uid }, status },
        signal: this.#closing.signal,
      })
      this.#written = text
      return true
    } catch (error) {
      if (this.#closing.signal.aborted) return true
      // Gone, or another pod of this name: there is nothing to report to.
      if (isNotFound(error) || isConflict(error)) this.close()
      else this.#options.onError(error)
      return isInvalid(error)
    }
  }
}
