import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { jobId } from '../../../shared/crd/generation-job.ts'
import { isAppError } from '../../../shared/errors.ts'
import { jobSubmission } from '../../../shared/wire/job-requests.ts'
import { jobPage, jobState, jobView, type JobView } from '../../../shared/wire/jobs.ts'
import { pageQuery } from '../../../shared/wire/pages.ts'
import { quoteView } from '../../../shared/wire/quotes.ts'
import type { ApiMetrics } from '../../metrics.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf, signedInOf } from '../../plugins/authentication.ts'
import type { JobWatch } from '../../realtime/watch-job.ts'
import { isTerminal } from './row.ts'
import type { JobService } from './service.ts'
import { readWaitSeconds, waitSecondsMax } from './prefer.ts'

export type JobRouteParts = {
  readonly jobs: JobService
  readonly watch: JobWatch
  readonly metrics: ApiMetrics
}

const tags = ['Jobs']
const submitProblems = [
  'request.too_large',
  'request.media_type',
  'model.not_found',
  'quote.invalid',
  'credits.insufficient',
  'credits.queue_full',
  'limit.running_jobs',
  'limit.queued_jobs',
  'limit.department_queue',
  'idempotency.in_flight',
  'idempotency.mismatch',
] as const
const jobParams = z.strictObject({ id: jobId })
const jobQuery = pageQuery.extend({ state: jobState.optional() })
/** Loose: every other header of the request passes. */
const submitHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .regex(/^[\x20-\x7e]*$/)
    .optional()
    .meta({ description: 'Makes repeating the request safe: the first answer is given again' }),
  prefer: z
    .string()
    .max(255)
    .optional()
    .meta({ description: '`wait=N` waits up to N (at most 60) seconds for the end of the job' }),
})

/** REST of jobs. Submitting and watching have their own functions: they answer in two ways. */
export function registerJobRoutes(app: ApiApp, parts: JobRouteParts): void {
  registerSubmit(app, parts)
  registerReads(app, parts.jobs)
  registerCancel(app, parts.jobs)
  registerEvents(app, parts.watch)
}

function registerSubmit(app: ApiApp, parts: JobRouteParts): void {
  const location = {
    Location: 'Address of the job',
    'Idempotency-Replayed': '`true` when this answers a repeated request',
  }
  app.post(
    '/v1/jobs',
    {
      handlerTimeout: (waitSecondsMax + 20) * 1000,
      config: {
        permission: 'jobs.create',
        rateClass: 'Submit',
        answerHeaders: { 200: location, 202: location },
        problems: submitProblems,
      },
      schema: {
        tags,
        operationId: 'createJob',
        summary: 'Ask for pictures',
        description:
          'Holds the price and queues the job. Watch it at `urls.events`. With `dryRun` it answers ' +
          'what the job would cost; nothing is held and no job is made.',
        headers: submitHeaders,
        body: jobSubmission,
        response: {
          200: answer(
            'The job, which ended while `Prefer: wait=N` waited, or the price of a dry run',
            z.union([jobView, quoteView]),
          ),
          202: answer('The job, accepted and queued', jobView),
        },
      },
    },
    async (request, reply) => {
      const { 'idempotency-key': idempotencyKey, prefer } = request.headers
      const { quote, dryRun, ...wish } = request.body
      const caller = callerOf(request)
      if (dryRun === true) return reply.send(await parts.jobs.dryRun(caller, wish, { quote }))
      const { task } = wish
      const submitted = await parts.jobs
        .submit(caller, wish, { idempotencyKey, quote })
        .catch((error: unknown) => {
          const outcome = isAppError(error) ? error.code : 'failed'
          parts.metrics.jobSubmissions.inc({ task, outcome })
          throw error
        })
      const outcome = submitted.replayed ? 'replayed' : 'accepted'
      parts.metrics.jobSubmissions.inc({ task, outcome })
      if (submitted.replayed) reply.header('idempotency-replayed', 'true')
      const waitSeconds = readWaitSeconds(prefer)
      if (waitSeconds === 0) return sendJob(reply, submitted.view)
      const wait = { timeoutMs: waitSeconds * 1000, signal: whenGone(reply) }
      const view = await parts.watch
        .waitForEnd(signedInOf(request), submitted.view, wait)
        // It is accepted and paid for: whoever is told of an error might send it a second time.
        .catch((error: unknown) => {
          request.log.info({ err: error }, 'an accepted job was not waited for')
          return null
        })
      if (view !== null) reply.header('preference-applied', `wait=${waitSeconds}`)
      return sendJob(reply, view ?? submitted.view)
    },
  )
}

/** Fires with the end of the connection; the request's own signal does once its body was read. */
function whenGone({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController()
  raw.once('close', () => controller.abort())
  return controller.signal
}

function sendJob(reply: FastifyReply, view: JobView): FastifyReply {
  const status = isTerminal(view.state) ? 200 : 202
  return reply.code(status).header('location', view.urls.self).send(view)
}

function registerReads(app: ApiApp, jobs: JobService): void {
  app.get(
    '/v1/jobs',
    {
      config: { permission: 'jobs.read' },
      schema: {
        tags,
        operationId: 'listJobs',
        summary: 'List jobs, newest first',
        description: 'Members see their own, department admins their department’s jobs.',
        querystring: jobQuery,
        response: { 200: answer('A page of jobs', jobPage) },
      },
    },
    (request) => jobs.list(callerOf(request), request.query),
  )
  app.get(
    '/v1/jobs/:id',
    {
      config: { permission: 'jobs.read', problems: ['job.not_found'] },
      schema: {
        tags,
        operationId: 'getJob',
        summary: 'Read one job',
        params: jobParams,
        response: { 200: answer('The job', jobView) },
      },
    },
    (request) => jobs.get(callerOf(request), request.params.id),
  )
}

function registerCancel(app: ApiApp, jobs: JobService): void {
  app.post(
    '/v1/jobs/:id/cancel',
    {
      config: { permission: 'jobs.cancel', problems: ['job.not_found', 'job.ended'] },
      schema: {
        tags,
        operationId: 'cancelJob',
        summary: 'Ask for the end of a job',
        description: 'Answers at once; the job ends soon after. Repeating it is fine.',
        params: jobParams,
        response: { 202: answer('The job, which is about to end', jobView) },
      },
    },
    async (request, reply) => {
      const view = await jobs.cancel(callerOf(request), request.params.id)
      return reply.code(202).send(view)
    },
  )
}

/** Longer than any token lives: the stream ends itself when the token does. */
const streamMsMax = 2 * 3600 * 1000

function registerEvents(app: ApiApp, watch: JobWatch): void {
  app.get(
    '/v1/jobs/:id/events',
    {
      handlerTimeout: streamMsMax,
      config: { permission: 'jobs.read', problems: ['job.not_found', 'rate.limited'] },
      schema: {
        tags,
        operationId: 'watchJob',
        summary: 'Watch one job live',
        description:
          'Server-sent events: `job` with the whole job, first as it is now; `progress` between. ' +
          'The id is the revision. The stream ends after the job has.',
        params: jobParams,
        response: {
          200: {
            description: 'Events until the job has ended',
            content: { 'text/event-stream': { schema: z.unknown().meta({ type: 'string' }) } },
          },
        },
      },
    },
    async (request, reply) => {
      const body = await watch.stream(signedInOf(request), request.params.id)
      return reply.header('content-type', 'text/event-stream; charset=utf-8').send(body)
    },
  )
}
