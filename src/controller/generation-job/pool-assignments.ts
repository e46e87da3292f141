import { POOL_ABANDON_MS } from '../limits.ts'
import type { AttemptOfJob } from '../pool-client.ts'
import {
  type PoolAnswers,
  PoolWatcher,
  type SlotAssignment,
  type WatcherParts,
} from './pool-watcher.ts'

export type PoolAssignmentsOptions = WatcherParts & {
  /** Called with the key of a job whose attempt has something new. */
  readonly wake: (key: string) => void
  /** Called once for each attempt that is over, before its job is woken. */
  readonly onOver: (assignment: SlotAssignment, answers: PoolAnswers) => void
}

/**
 * The attempts in slots of pool pods that this process asks after, one per job, by the job's key.
 * Memory only: after a restart every job that is still assigned is handed over once more.
 */
export class PoolAssignments {
  readonly #options: PoolAssignmentsOptions
  readonly #watchers = new Map<string, PoolWatcher>()
  /** Of jobs that are gone: their attempts are ended, and nobody waits for that. */
  readonly #abandoned = new Set<PoolWatcher>()
  readonly #running = new Set<Promise<void>>()

  constructor(options: PoolAssignmentsOptions) {
    this.#options = options
  }

  /** What the pod has said about this attempt; undefined while nobody asks it. */
  answersOf(key: string, attempt: AttemptOfJob): PoolAnswers | undefined {
    const watcher = this.#watchers.get(key)
    return watcher !== undefined && isOf(watcher, attempt) ? watcher.answers : undefined
  }

  /** Hands the job over, unless that is done or under way. */
  assign(key: string, assignment: SlotAssignment): void {
    this.#ensure(key, { assignment, isCancelling: false })
  }

  /** Asks the pod to end the attempt, unless that is done or under way. */
  cancel(key: string, assignment: SlotAssignment): void {
    this.#ensure(key, { assignment, isCancelling: true }).cancel()
  }

  /** The job has no attempt in a slot any more. */
  drop(key: string): void {
    this.#watchers.get(key)?.stop()
    this.#watchers.delete(key)
  }

  /** The job is gone; what runs for it is cancelled. */
  abandon(key: string): void {
    const watcher = this.#watchers.get(key)
    this.#watchers.delete(key)
    if (watcher !== undefined && watcher.answers.state !== 'Over') this.#release(watcher)
  }

  /** An attempt that no job knows of: it is ended, and nobody waits for that. */
  cancelStray(assignment: SlotAssignment): void {
    const isSame = (watcher: PoolWatcher) =>
      isOf(watcher, assignment) && watcher.assignment.podUID === assignment.podUID
    if ([...this.#abandoned].some(isSame)) return
    const onChange = () => this.#noteEnd(watcher)
    const watcher: PoolWatcher = new PoolWatcher(this.#options, {
      assignment,
      isCancelling: true,
      onChange,
    })
    this.#release(watcher)
    this.#start(watcher)
  }

  async stop(): Promise<void> {
    for (const watcher of [...this.#watchers.values(), ...this.#abandoned]) watcher.stop()
    this.#watchers.clear()
    await Promise.all(this.#running)
  }

  #release(watcher: PoolWatcher): void {
    this.#abandoned.add(watcher)
    watcher.abandon(this.#options.clock.nowMs() + POOL_ABANDON_MS)
  }

  #ensure(
    key: string,
    { assignment, isCancelling }: { assignment: SlotAssignment; isCancelling: boolean },
  ): PoolWatcher {
    const known = this.#watchers.get(key)
    if (known !== undefined && isOf(known, assignment)) return known
    // Another job of the same name, or an older attempt that the status has left behind.
    this.abandon(key)
    const onChange = () => {
      this.#noteEnd(watcher)
      if (this.#watchers.get(key) === watcher) this.#options.wake(key)
    }
    const watcher = new PoolWatcher(this.#options, { assignment, isCancelling, onChange })
    this.#watchers.set(key, watcher)
    this.#start(watcher)
    return watcher
  }

  #noteEnd({ answers, assignment }: PoolWatcher): void {
    if (answers.state === 'Over') this.#options.onOver(assignment, answers)
  }

  #start(watcher: PoolWatcher): void {
    const finished = watcher
      .run()
      .catch(this.#options.onError)
      .finally(() => {
        this.#abandoned.delete(watcher)
        this.#running.delete(finished)
      })
    this.#running.add(finished)
  }
}

function isOf({ assignment }: PoolWatcher, { uid, attempt }: AttemptOfJob): boolean {
  return assignment.uid === uid && assignment.attempt === attempt
}
