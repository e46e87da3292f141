import { AppError } from '../../shared/errors.ts'

/** Something went wrong on the way from the server; `transient` faults may be over next time. */
export class FetchFault extends Error {
  readonly transient: boolean
  /** What the server asked for in Retry-After. */
  readonly retryAfterMs: number | undefined

  constructor(
    message: string,
    options: { readonly transient: boolean; readonly retryAfterMs?: number; cause?: unknown },
  ) {
    super(message, { cause: options.cause })
    this.name = 'FetchFault'
    this.transient = options.transient
    this.retryAfterMs = options.retryAfterMs
  }
}

/** For the operator: which file, and why it cannot be had. */
export function fetchError(file: string, problem: string, cause?: unknown): AppError {
  return new AppError('model.fetch_failed', `${file}: ${problem}`, { cause })
}

export function isTransient(error: unknown): boolean {
  return error instanceof FetchFault && error.transient
}

/** The innermost reason: fetch itself only says that it failed. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : reasonOf(error.cause)
}
