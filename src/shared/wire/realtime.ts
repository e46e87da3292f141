import { z } from 'zod'
import { jobId } from '../crd/generation-job.ts'
import { progress } from './internal.ts'
import { jobView } from './jobs.ts'
import { notificationView } from './notifications.ts'

export const socketPath = '/v1/ws'

/** The largest message that a client may send. */
export const messageBytesMax = 64 * 1024
/** Jobs that one socket may watch with pictures. */
export const watchedJobsMax = 16

/** Close code of ours (4000 to 4999 are for applications): the reason says what to do. */
export const accessEndedCode = 4401

export const ticketView = z
  .object({
    /** Good for one socket. */
    ticket: z.string(),
    expiresTime: z.iso.datetime(),
    /** Where to open the socket, with the ticket in it. */
    url: z.string(),
  })
  .meta({
    id: 'RealtimeTicket',
    examples: [
      {
        ticket: 'q1bfZ4kX0Ww7m3',
        expiresTime: '2026-11-21T14:00:30.000Z',
        url: 'wss://atelier.example/v1/ws?ticket=q1bfZ4kX0Ww7m3',
      },
    ],
  })
export type TicketView = z.infer<typeof ticketView>

const base64Url = z.string().regex(/^[A-Za-z0-9_-]+$/)

export const socketQuery = z.strictObject({
  ticket: base64Url.max(4096).optional(),
  /** The last cursor that the client was told: what changed since then comes first. */
  cursor: base64Url.max(64).optional(),
})

/** What a client may say: which jobs it wants with pictures; the newest list counts. */
export const clientMessage = z.strictObject({
  type: z.literal('watch'),
  jobs: z.array(jobId).max(watchedJobsMax),
})
export type ClientMessage = z.infer<typeof clientMessage>

/** What the server says, one JSON text per message. Snapshots: the higher revision counts. */
export const serverMessage = z.discriminatedUnion('event', [
  z.object({ event: z.literal('hello'), cursor: z.string(), heartbeatSeconds: z.number() }),
  /** `id` is the revision, as on the event stream of one job. */
  z.object({ event: z.literal('job'), id: z.int(), data: jobView }),
  z.object({
    event: z.literal('progress'),
    id: z.int(),
    jobId: z.string(),
    data: progress.omit({ sequence: true }),
  }),
  z.object({ event: z.literal('notification'), id: z.string(), data: notificationView }),
  /** Everything before this moment has been told: resume from here. */
  z.object({ event: z.literal('cursor'), cursor: z.string() }),
  /** More has changed than is told again: the newest jobs follow, the rest is in the lists. */
  z.object({ event: z.literal('reset') }),
  z.object({
    event: z.literal('error'),
    data: z.object({ code: z.string(), detail: z.string(), jobId: z.string().optional() }),
  }),
])
export type ServerMessage = z.infer<typeof serverMessage>
