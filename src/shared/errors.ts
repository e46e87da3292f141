/**
 * Every error a person or another program can meet: code, HTTP status, title.
 * Services throw AppError with a code; `src/api/plugins/problem.ts` alone turns it into HTTP.
 */
export const errorTable = {
  'request.invalid': { status: 400, title: 'The request is not valid' },
  'request.too_large': { status: 413, title: 'The request is too large' },
  'request.media_type': { status: 415, title: 'The media type is not supported' },
  'request.not_found': { status: 404, title: 'There is nothing at this address' },
  'request.method_not_allowed': { status: 405, title: 'This address does not know the method' },
  'auth.required': { status: 401, title: 'Sign in first' },
  'auth.invalid_credentials': { status: 401, title: 'E-mail or password is wrong' },
  'auth.invalid_token': { status: 401, title: 'The token is not valid' },
  'auth.forbidden': { status: 403, title: 'You may not do this' },
  'auth.cross_site': { status: 403, title: 'The request came from another site' },
  'auth.refresh_reused': { status: 401, title: 'The session has ended' },
  'code.invalid': { status: 422, title: 'The code is wrong or has expired' },
  'invite.invalid': { status: 422, title: 'The invitation is not valid any more' },
  'invite.not_found': { status: 404, title: 'There is no such invitation' },
  'session.not_found': { status: 404, title: 'There is no such session' },
  'api_key.not_found': { status: 404, title: 'There is no such API key' },
  'api_key.limit': { status: 409, title: 'There are too many API keys' },
  'user.not_found': { status: 404, title: 'There is no such person' },
  'user.email_taken': { status: 409, title: 'This e-mail address is taken' },
  'user.state': { status: 409, title: 'The person is not in a state that allows this' },
  'user.last_super_admin': { status: 409, title: 'The last super admin stays' },
  'sso.unknown_issuer': { status: 404, title: 'There is no such sign-in provider' },
  'sso.refused': { status: 401, title: 'The sign-in provider’s token is not valid' },
  'department.not_found': { status: 404, title: 'There is no such department' },
  'department.exists': { status: 409, title: 'There is a department of this name' },
  'department.changed': { status: 409, title: 'Somebody changed the department meanwhile' },
  'department.managed_by_platform': {
    status: 409,
    title: 'The platform team manages this department',
  },
  'notification.not_found': { status: 404, title: 'There is no such notification' },
  'settings.changed': { status: 409, title: 'Somebody changed the settings meanwhile' },
  'job.not_found': { status: 404, title: 'There is no such job' },
  'job.ended': { status: 409, title: 'The job has ended' },
  'model.not_found': { status: 404, title: 'There is no such model' },
  'artifact.not_found': { status: 404, title: 'There is no such artifact' },
  'artifact.kept': { status: 409, title: 'This artifact stays with its job' },
  'object.not_found': { status: 404, title: 'There is no such object' },
  'object.url_invalid': { status: 403, title: 'The link is not valid or has expired' },
  'object.mismatch': { status: 422, title: 'The bytes differ from what was announced' },
  'quote.invalid': { status: 422, title: 'The quote does not hold for this request' },
  'credits.insufficient': { status: 402, title: 'Not enough credits' },
  'credits.too_many_lots': { status: 409, title: 'The account has too many lots' },
  'credits.nothing_unused': { status: 409, title: 'There are no unused credits' },
  'credits.adjusted': { status: 409, title: 'This entry was adjusted before' },
  'credits.account_not_found': { status: 404, title: 'There is no such account' },
  'credits.entry_not_found': { status: 404, title: 'There is no such entry' },
  'credits.request_not_found': { status: 404, title: 'There is no such request for credits' },
  'credits.request_decided': { status: 409, title: 'The request for credits was decided' },
  'credits.too_many_requests': { status: 409, title: 'Too many of your requests wait' },
  'limit.running_jobs': { status: 429, title: 'Too many of your jobs run' },
  'limit.queued_jobs': { status: 429, title: 'Too many of your jobs wait' },
  'limit.department_queue': { status: 429, title: 'Too many jobs of your department wait' },
  'limit.upload_quota': { status: 409, title: 'Your uploads fill their quota' },
  'credits.queue_full': { status: 429, title: 'Too many jobs are open on this account' },
  'idempotency.in_flight': { status: 409, title: 'The first request with this key still runs' },
  'idempotency.mismatch': { status: 422, title: 'This key was used for another request' },
  'attempt.not_current': { status: 409, title: 'This attempt is not the current one' },
  'attempt.reported': { status: 409, title: 'The attempt has handed in another report' },
  'attempt.sequence': { status: 409, title: 'A newer state is already known' },
  'pool.attempt_outdated': { status: 409, title: 'A newer attempt of the job is known' },
  'pool.busy': { status: 409, title: 'No slot is free' },
  'pool.draining': { status: 409, title: 'The pod is about to end' },
  'pool.runner_changed': { status: 409, title: 'The pod was restarted' },
  'rate.limited': { status: 429, title: 'Too many requests' },
  'model.pack_invalid': { status: 422, title: 'The model pack is damaged or incomplete' },
  'model.fetch_failed': { status: 502, title: 'The model pack could not be fetched' },
  'model.cache_full': { status: 507, title: 'The model pack does not fit into its cache' },
  'inference.unsupported': { status: 422, title: 'This model or setting is not supported' },
  'inference.memory_insufficient': { status: 422, title: 'The job does not fit into memory' },
  'inference.runner_failed': { status: 500, title: 'The inference process failed' },
  'platform.unavailable': { status: 503, title: 'A part of the platform does not answer' },
  'platform.internal': { status: 500, title: 'Something went wrong on our side' },
  'platform.misconfigured': { status: 500, title: 'The platform is not set up correctly' },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>

export type ErrorCode = keyof typeof errorTable

/** One field of a request and what is wrong with it. `path` is a JSON pointer or parameter name. */
export type FieldError = { readonly path: string; readonly message: string }

export type AppErrorOptions = {
  readonly cause?: unknown
  readonly fields?: readonly FieldError[]
  /** Extra members of the problem document, such as the missing amount. Never secrets. */
  readonly details?: Readonly<Record<string, string | number | boolean>>
  readonly retryAfterSeconds?: number
}

/** A fault of a user or operator. Bugs are assertions and crash instead. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly fields: readonly FieldError[]
  readonly details: Readonly<Record<string, string | number | boolean>>
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.fields = options.fields ?? []
    this.details = options.details ?? {}
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

/** One way to say that fields are wrong, for schemas and services alike; it names three at most. */
export function invalidRequest(fields: readonly FieldError[]): AppError {
  const names = fields.map(({ path }) => path || 'the body').slice(0, 3)
  return new AppError('request.invalid', `not valid: ${names.join(', ')}`, { fields })
}

export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code)
}
