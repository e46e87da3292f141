import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { jobId as jobIdSchema } from '../../shared/crd/generation-job.ts'
import { check } from '../../shared/wire/field-errors.ts'
import {
  type Hold,
  holdRequest,
  type HoldRequest,
  internalPrefix,
  progress,
  report,
  uploadsRequest,
} from '../../shared/wire/internal.ts'
import type { AttemptRef } from '../features/jobs/attempts.ts'
import type { PodService } from '../features/jobs/pod-service.ts'
import type { ProgressDesk } from '../features/jobs/progress.ts'
import { type AuthoriseDeps, requireController, requireCurrentPod } from './authorise.ts'
import type { IdentityReader } from './identity.ts'
import { type ObjectRouteParts, registerObjectRoutes } from './object-routes.ts'

export type InternalParts = ObjectRouteParts & {
  readonly identities: IdentityReader
  readonly authorise: AuthoriseDeps
  readonly pods: PodService
  readonly progress: ProgressDesk
  readonly hold: (jobId: string, request: HoldRequest) => Promise<Hold>
}

const jobParams = z.object({ jobId: jobIdSchema })
const attemptParams = jobParams.extend({ attempt: z.coerce.number().int().min(1).max(1000) })
/** A report names at most 1,600 outputs of 300 bytes and 16 changes of the inputs of 200 each. */
const bodyBytesMax = 8 * 1024 * 1024

/** The routes of the internal port; their contract is in shared/wire/internal.ts. */
export function registerInternal(app: FastifyInstance, parts: InternalParts): void {
  registerControllerRoutes(app, parts)
  registerPodRoutes(app, parts)
  registerObjectRoutes(app, parts)
}

function registerControllerRoutes(app: FastifyInstance, parts: InternalParts): void {
  const jobs = `${internalPrefix}/jobs/:jobId`
  const controllerOnly = async (request: FastifyRequest) => {
    requireController(await parts.identities.read(request.headers.authorization))
  }
  const options = { onRequest: controllerOnly, bodyLimit: bodyBytesMax }
  app.put(`${jobs}/hold`, options, async (request) => {
    const { jobId } = check(jobParams, request.params)
    return await parts.hold(jobId, check(holdRequest, request.body))
  })
  app.get(`${jobs}/attempts/:attempt/report`, options, async (request) => {
    return await parts.pods.readReport(check(attemptParams, request.params))
  })
  app.get(`${jobs}/settlement`, options, async (request) => {
    return await parts.pods.settlement(check(jobParams, request.params).jobId)
  })
}

function registerPodRoutes(app: FastifyInstance, parts: InternalParts): void {
  const attempts = `${internalPrefix}/jobs/:jobId/attempts/:attempt`
  /** Before the body is read: a stranger's megabytes stay outside. */
  const currentPodOnly = async (request: FastifyRequest) => {
    const identity = await parts.identities.read(request.headers.authorization)
    await requireCurrentPod(parts.authorise, identity, refOf(request))
  }
  const options = { onRequest: currentPodOnly, bodyLimit: bodyBytesMax }
  app.get(`${attempts}/work`, options, async (request) => {
    return await parts.pods.work(refOf(request).jobId)
  })
  app.post(`${attempts}/uploads`, options, async (request) => {
    return await parts.pods.announceUploads(refOf(request), check(uploadsRequest, request.body))
  })
  app.post(`${attempts}/progress`, options, async (request, reply) => {
    await parts.progress.accept(refOf(request), check(progress, request.body))
    return reply.code(204).send()
  })
  app.post(`${attempts}/report`, options, async (request, reply) => {
    await parts.pods.report(refOf(request), check(report, request.body))
    return reply.code(204).send()
  })
}

function refOf(request: FastifyRequest): AttemptRef {
  return check(attemptParams, request.params)
}
