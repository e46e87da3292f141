import { z } from 'zod'
import type { PubSub } from '../../../platform/redis/pub-sub.ts'
import { type Progress, progress as progressSchema } from '../../../shared/wire/internal.ts'

/**
 * Says that a job's row changed; receivers read the row again. `progress` comes along because the
 * row gets it only every few seconds.
 */
export type JobEvent = {
  readonly jobId: string
  readonly revision: number
  readonly progress?: Progress
}

export type Subscription = { readonly close: () => void }

/** Live events. With Redis down nothing arrives and nothing else happens. */
export type JobEvents = {
  readonly publish: (event: JobEvent, owner: JobEventOwner) => void
  readonly onJob: (jobId: string, listener: (event: JobEvent) => void) => Subscription
  /** All jobs of one person. */
  readonly onUser: (userId: string, listener: (event: JobEvent) => void) => Subscription
}

export type JobEventOwner = { readonly department: string; readonly user: string | null }

/** Events over Redis: a channel per job and one per person. */
export function openJobEvents(pubSub: PubSub): JobEvents {
  const listen = (channel: string, listener: (event: JobEvent) => void): Subscription =>
    pubSub.subscribe(channel, (message) => {
      const event = parse(message)
      if (event !== null) listener(event)
    })
  return {
    publish: (event, { user }) => {
      pubSub.publish(jobChannel(event.jobId), JSON.stringify(event))
      if (user !== null) pubSub.publish(userChannel(user), JSON.stringify(withoutPreview(event)))
    },
    onJob: (jobId, listener) => listen(jobChannel(jobId), listener),
    onUser: (userId, listener) => listen(userChannel(userId), listener),
  }
}

/** Whoever watches all of somebody's jobs gets no pictures of each. */
function withoutPreview({ progress, ...event }: JobEvent): JobEvent {
  if (progress === undefined) return event
  const { preview: _picture, ...counts } = progress
  return { ...event, progress: counts }
}

const jobEvent = z.object({
  jobId: z.string(),
  revision: z.number(),
  progress: progressSchema.optional(),
})

/** Whatever else lies in Redis is nobody's event. */
function parse(message: string): JobEvent | null {
  try {
    return jobEvent.safeParse(JSON.parse(message)).data ?? null
  } catch {
    return null
  }
}

function jobChannel(jobId: string): string {
  return `job:${jobId}`
}

function userChannel(userId: string): string {
  return `user:${userId}`
}
