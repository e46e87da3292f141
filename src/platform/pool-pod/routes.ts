import { z } from 'zod'
import { wholeNumber } from '../config/fields.ts'
import { AppError } from '../../shared/errors.ts'
import {
  type Assigned,
  type Assignment,
  assignment,
  assignmentWaitSecondsMax,
  type PoolPodState,
  poolPodPrefix,
} from '../../shared/wire/pool.ts'
import { type Answer, parseJson } from '../http/json-messages.ts'
import { check } from '../../shared/wire/field-errors.ts'
import type { JobRef } from './assignments.ts'

export type PoolRequest = {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly body: string
  /** Whoever waits for an answer has gone, or the server closes. */
  readonly signal: AbortSignal
}

/** What a pool pod can be told and asked. */
export type ServedPool = {
  /** Takes a job. @throws AppError as `Assignments.take` does. */
  readonly assign: (uid: string, assignment: Assignment) => Assigned
  /** What became of an attempt, as soon as it is over or `forMs` are. @throws AppError */
  readonly wait: (job: JobRef, forMs: number, signal: AbortSignal) => Promise<Assigned>
  /** Cancels what runs, forgets what has ended. */
  readonly drop: (job: JobRef) => void
  readonly describe: () => PoolPodState
}

/** Answers one request, whose signature was checked. @throws AppError */
export async function answerRequest(pool: ServedPool, request: PoolRequest): Promise<Answer> {
  const [path = '', query = ''] = request.path.split('?', 2)
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

async function answerJob(pool: ServedPool, request: JobRequest): Promise<Answer> {
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
