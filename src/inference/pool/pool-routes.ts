import { z } from 'zod'
import { wholeNumber } from '../../platform/config/fields.ts'
import { AppError } from '../../shared/errors.ts'
import { assignment, assignmentWaitSecondsMax, poolPodPrefix } from '../../shared/wire/pool.ts'
import { type Answer, parseJson } from '../../platform/http/json-messages.ts'
import { check } from '../../shared/wire/field-errors.ts'
import type { Pool } from './pool.ts'

export type PoolRequest = {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly body: string
  /** Whoever waits for an answer has gone, or the server closes. */
  readonly signal: AbortSignal
}

type Served = Pick<Pool, 'assign' | 'wait' | 'drop' | 'describe'>

/** Answers one request, whose signature was checked. @throws AppError */
export async function answerRequest(pool: Served, request: PoolRequest): Promise<Answer> {
  const [path, query = ''] = request.path.split('?', 2)
  if (path === `${poolPodPrefix}/state`) {
    requireMethod(request, ['GET'])
    return { status: 200, body: pool.describe() }
  }
  const uid = jobPath.exec(path)?.[1]
  if (uid === undefined) throw new AppError('request.not_found', 'there is no such address')
  return answerJob(pool, { ...request, uid, query: new URLSearchParams(query) })
}

const jobPath = new RegExp(`^${poolPodPrefix}/jobs/([A-Za-z0-9-]{1,64})$`)

type JobRequest = PoolRequest & { readonly uid: string; readonly query: URLSearchParams }

async function answerJob(pool: Served, request: JobRequest): Promise<Answer> {
  const { uid, signal } = request
  switch (requireMethod(request, ['PUT', 'GET', 'DELETE'])) {
    case 'PUT':
      return { status: 200, body: pool.assign(uid, check(assignment, parseJson(request.body))) }
    case 'GET': {
      const { attempt, waitSeconds } = check(waitQuery, Object.fromEntries(request.query))
      return { status: 200, body: await pool.wait({ uid, attempt }, waitSeconds * 1000, signal) }
    }
    default:
      pool.drop({ uid, ...check(attemptQuery, Object.fromEntries(request.query)) })
      return { status: 204 }
  }
}

const attempt = wholeNumber({ min: 1, max: assignment.shape.attempt.maxValue ?? 1000 })
const attemptQuery = z.strictObject({ attempt })
const waitQuery = z.strictObject({
  attempt,
  waitSeconds: wholeNumber({ min: 0, max: assignmentWaitSecondsMax }).prefault('0'),
})

function requireMethod(request: PoolRequest, allowed: readonly string[]): string {
  if (allowed.includes(request.method)) return request.method
  throw new AppError('request.method_not_allowed', `this address takes ${allowed.join(', ')}`)
}
