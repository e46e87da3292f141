import { z } from 'zod'

/** One thing the API server found wrong, usually with the field's path. */
export type KubeErrorCause = {
  readonly field?: string | undefined
  readonly reason?: string | undefined
  readonly message?: string | undefined
}

export type KubeErrorOptions = {
  /** HTTP status; 0 when no answer came. */
  readonly status: number
  readonly reason: string
  readonly message: string
  readonly causes?: readonly KubeErrorCause[] | undefined
  readonly retryAfterSeconds?: number | undefined
  readonly cause?: unknown
}

/** A request the API server refused, or did not answer (`status` 0: the outcome is unknown). */
export class KubeError extends Error {
  readonly status: number
  readonly reason: string
  /** The API server's own list of what is wrong, field by field. */
  readonly causes: readonly KubeErrorCause[]
  readonly retryAfterSeconds: number | undefined

  constructor(options: KubeErrorOptions) {
    super(options.message, { cause: options.cause })
    this.name = 'KubeError'
    this.status = options.status
    this.reason = options.reason
    this.causes = options.causes ?? []
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

const text = z
  .string()
  .nullish()
  .catch(undefined)
  .transform((value) => value ?? undefined)
const causesOf = z
  .array(z.object({ field: text, reason: text, message: text }))
  .nullish()
  .catch(undefined)
  .transform((value) => value ?? [])

/** metav1.Status; everything is optional because proxies in between answer with anything. */
const statusBody = z.object({
  kind: z.literal('Status'),
  code: z.number().optional().catch(undefined),
  reason: text,
  message: text,
  details: z
    .object({ retryAfterSeconds: z.number().optional().catch(undefined), causes: causesOf })
    .nullish()
    .catch(undefined),
})

const reasonOfStatus: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

export type FailedAnswer = {
  readonly status: number
  readonly body: unknown
  /** Value of the Retry-After header, in seconds. */
  readonly retryAfterSeconds?: number | undefined
}

/** Turns an answer with an error status, or the Status object of a watch, into a KubeError. */
export function kubeErrorOf(answer: FailedAnswer): KubeError {
  const body: Partial<z.infer<typeof statusBody>> = statusBody.safeParse(answer.body).data ?? {}
  const status = body.code ?? answer.status
  return new KubeError({
    status,
    reason: body.reason ?? reasonOfStatus[status] ?? 'Unknown',
    message: body.message ?? `the API server answered with status ${status}`,
    causes: body.details?.causes,
    retryAfterSeconds: answer.retryAfterSeconds ?? body.details?.retryAfterSeconds,
  })
}

function isKubeError(error: unknown): error is KubeError {
  return error instanceof KubeError
}

export function isNotFound(error: unknown): error is KubeError {
  return isKubeError(error) && error.status === 404
}

/** For `catch`, of a read and of a change of what may be gone: undefined is what is not there. */
export function unlessNotFound(error: unknown): undefined {
  if (!isNotFound(error)) throw error
}

export function isAlreadyExists(error: unknown): error is KubeError {
  return isKubeError(error) && error.status === 409 && error.reason === 'AlreadyExists'
}

/** Somebody changed the object since it was read, or a precondition such as the uid failed. */
export function isConflict(error: unknown): error is KubeError {
  return isKubeError(error) && error.status === 409 && error.reason !== 'AlreadyExists'
}

/** The object breaks a rule of its schema or of a policy; `causes` names the fields. */
export function isInvalid(error: unknown): error is KubeError {
  return isKubeError(error) && (error.status === 422 || error.status === 400)
}

export function isForbidden(error: unknown): error is KubeError {
  return isKubeError(error) && error.status === 403
}

/** The resourceVersion or continue token is too old: list again. */
export function isGone(error: unknown): error is KubeError {
  return isKubeError(error) && error.status === 410
}

/** An answer that says no: the request has had no effect. */
export function isRefused(error: unknown): error is KubeError {
  return isKubeError(error) && error.status >= 400 && error.status < 500
}

/** No answer, or a fault of the server's: the request may or may not have had its effect. */
export function isUnsure(error: unknown): error is KubeError {
  return isKubeError(error) && (error.status === 0 || error.status >= 500)
}

/** No answer: refused, reset or timed out. The request may or may not have had its effect. */
export function isUnreachable(error: unknown): error is KubeError {
  return isKubeError(error) && error.status === 0
}

/** Turned away unread, for now: nothing has happened, and the API server says when to come again. */
export function isThrottled(error: unknown): error is KubeError {
  return isKubeError(error) && error.status === 429 && error.retryAfterSeconds !== undefined
}

/** Longest wait that an answer can impose on us. */
const RETRY_AFTER_MS_MAX = 300_000

/** How long the API server asked to be left alone; 0 when it did not. */
export function retryAfterMs(error: unknown): number {
  const seconds = isKubeError(error) ? (error.retryAfterSeconds ?? 0) : 0
  return Math.min(seconds * 1000, RETRY_AFTER_MS_MAX)
}
