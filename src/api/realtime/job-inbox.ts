import type { JobEvent, JobEvents } from '../features/jobs/events.ts'

/** What has happened to one job since it was last asked: only the newest of everything is kept. */
export type JobInbox = {
  /** The news, at once or when they come; null when the time is over or the signal fires. */
  readonly next: (timeoutMs: number) => Promise<JobEvent | null>
}

/** Listens until the signal fires. */
export function openJobInbox(events: JobEvents, jobId: string, signal: AbortSignal): JobInbox {
  let news: JobEvent | null = null
  let wake = ignore
  const subscription = events.onJob(jobId, (event) => {
    news = merge(news, event)
    wake()
  })
  const close = (): void => {
    subscription.close()
    wake()
  }
  signal.addEventListener('abort', close, { once: true })
  const wait = async (timeoutMs: number): Promise<void> => {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    wake = ignore
  }
  return {
    next: async (timeoutMs) => {
      if (news === null && !signal.aborted) await wait(timeoutMs)
      const taken = news
      news = null
      return taken
    },
  }
}

/** Nobody waits. */
function ignore(): void {}

/** An event without progress does not make a waiting progress forgotten. */
function merge(older: JobEvent | null, newer: JobEvent): JobEvent {
  const progress = newer.progress ?? older?.progress
  const revision = Math.max(older?.revision ?? 0, newer.revision)
  return { jobId: newer.jobId, revision, ...(progress !== undefined && { progress }) }
}
