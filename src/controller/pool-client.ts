import { Agent, request } from 'undici'
import { z } from 'zod'
import { signRequest } from '../platform/http/request-signature.ts'
import type { KubeClient } from '../platform/kube/client.ts'
import type { Clock } from '../shared/clock.ts'
import {
  type Assigned,
  assigned,
  type Assignment,
  assignmentWaitSecondsMax,
  poolPodPrefix,
  type PoolPodState,
  poolPodState,
  poolPort,
  type PoolRefusal,
  poolRefusals,
} from '../shared/wire/pool.ts'
import { POOL_ANSWER_BYTES_MAX, POOL_TIMEOUT_MS } from './limits.ts'
import { PoolKeys, type PoolRef } from './pool-keys.ts'

/** `request.invalid`: the pod is of an older pool and does not have the model. */
export type Refusal = PoolRefusal | 'request.invalid'

/**
 * `Refused`: the pod will not do it, and why. `Unknown`: it knows no such attempt.
 * `Unreachable`: no usable answer came; ask again later. The message is for people.
 */
export type PoolAnswer<T> =
  | { readonly kind: 'Answered'; readonly value: T }
  | { readonly kind: 'Refused'; readonly code: Refusal }
  | { readonly kind: 'Unknown' }
  | { readonly kind: 'Unreachable'; readonly message: string }

/** One pool pod: its ModelPool, whose key signs the requests, and where it listens. */
export type PoolPodAddress = PoolRef & { readonly ip: string }

export type AttemptOfJob = {
  /** Of the GenerationJob. */
  readonly uid: string
  readonly attempt: number
}

type Scoped = { readonly signal: AbortSignal }

/** The controller's requests to pool pods. None of them throws but on abort. */
export type PoolClient = {
  /** Idempotent by job and attempt. */
  readonly assign: (
    pod: PoolPodAddress,
    request: Scoped & { readonly uid: string; readonly assignment: Assignment },
  ) => Promise<PoolAnswer<Assigned>>
  /** Answers as soon as the attempt has ended, or after `waitSeconds`. */
  readonly wait: (
    pod: PoolPodAddress,
    request: Scoped & AttemptOfJob & { readonly waitSeconds: number },
  ) => Promise<PoolAnswer<Assigned>>
  /** Asks for a soft end; the attempt is over only when `wait` says so. */
  readonly cancel: (
    pod: PoolPodAddress,
    request: Scoped & AttemptOfJob,
  ) => Promise<PoolAnswer<undefined>>
  readonly state: (pod: PoolPodAddress, request: Scoped) => Promise<PoolAnswer<PoolPodState>>
  readonly close: () => Promise<void>
}

export type PoolClientOptions = {
  /** Reads the Secrets with the keys. */
  readonly kube: KubeClient
  readonly clock: Clock
}

export function openPoolClient({ kube, clock }: PoolClientOptions): PoolClient {
  const parts: Parts = {
    keys: new PoolKeys(kube, clock),
    agent: new Agent({ maxResponseSize: POOL_ANSWER_BYTES_MAX }),
    clock,
  }
  return {
    assign: async (pod, { uid, assignment, signal }) => {
      const question = { method: 'PUT', path: jobPath(uid), body: assignment, signal } as const
      return await ask(parts, pod, { ...question, schema: assigned })
    },
    wait: async (pod, { uid, attempt, waitSeconds, signal }) => {
      const seconds = Math.min(waitSeconds, assignmentWaitSecondsMax)
      const path = `${jobPath(uid)}?attempt=${attempt}&waitSeconds=${seconds}`
      const question = { method: 'GET', path, signal, waitMs: seconds * 1000 } as const
      return await ask(parts, pod, { ...question, schema: assigned })
    },
    cancel: async (pod, { uid, attempt, signal }) => {
      const path = `${jobPath(uid)}?attempt=${attempt}`
      return await ask(parts, pod, { method: 'DELETE', path, signal, schema: z.undefined() })
    },
    state: async (pod, { signal }) => {
      const path = `${poolPodPrefix}/state`
      return await ask(parts, pod, { method: 'GET', path, signal, schema: poolPodState })
    },
    close: async () => await parts.agent.destroy(),
  }
}

type Parts = {
  readonly keys: PoolKeys
  readonly agent: Agent
  readonly clock: Clock
}

function jobPath(uid: string): string {
  return `${poolPodPrefix}/jobs/${encodeURIComponent(uid)}`
}

type Question<T> = Scoped & {
  readonly method: 'GET' | 'PUT' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly body?: unknown
  /** How long the pod may take on purpose. */
  readonly waitMs?: number
  readonly schema: z.ZodType<T>
}

/** Any failure is an answer of its own kind: decisions, not stack traces, deal with lost pods. */
async function ask<T>(
  parts: Parts,
  pod: PoolPodAddress,
  question: Question<T>,
): Promise<PoolAnswer<T>> {
  try {
    const first = await exchange(parts, pod, question)
    const again = first.status === 401 && parts.keys.mayBeRenewed(pod)
    return understand(again ? await exchange(parts, pod, question) : first, question.schema)
  } catch (error) {
    if (question.signal.aborted) throw error
    return { kind: 'Unreachable', message: 'The pool pod does not answer.' }
  }
}

type Reply = { readonly status: number; readonly text: string }

async function exchange(
  { keys, agent, clock }: Parts,
  pod: PoolPodAddress,
  { method, path, body, signal, waitMs = 0 }: Question<unknown>,
): Promise<Reply> {
  const text = body === undefined ? '' : JSON.stringify(body)
  const key = await keys.keyOf(pod)
  const host = pod.ip.includes(':') ? `[${pod.ip}]` : pod.ip
  const answer = await request(`http://${host}:${poolPort}${path}`, {
    method,
    headers: {
      ...(text === '' ? {} : { 'content-type': 'application/json' }),
      ...signRequest({ method, path, body: text }, key, { nowMs: clock.nowMs() }),
    },
    body: text === '' ? null : text,
    signal: AbortSignal.any([signal, AbortSignal.timeout(POOL_TIMEOUT_MS + waitMs)]),
    dispatcher: agent,
  })
  return { status: answer.statusCode, text: await answer.body.text() }
}

const problem = z.object({ code: z.enum([...poolRefusals, 'request.invalid']) })

function understand<T>({ status, text }: Reply, schema: z.ZodType<T>): PoolAnswer<T> {
  if (status === 404) return { kind: 'Unknown' }
  const value: unknown = text === '' ? undefined : JSON.parse(text)
  if (status === 409 || status === 400) {
    const refusal = problem.safeParse(value)
    if (refusal.success) return { kind: 'Refused', code: refusal.data.code }
  }
  const parsed = status === 200 || status === 204 ? schema.safeParse(value) : undefined
  if (parsed?.success === true) return { kind: 'Answered', value: parsed.data }
  return { kind: 'Unreachable', message: `The pool pod answered with status ${status}.` }
}
