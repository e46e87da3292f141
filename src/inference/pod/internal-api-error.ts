/** An answer from 400 on of the api or of the object store behind a signed URL. */
export class InternalApiError extends Error {
  readonly status: number
  /** `code` of the problem document, when the answer was one. */
  readonly code: string | undefined

  constructor(answer: {
    readonly status: number
    readonly code: string | undefined
    readonly detail: string
  }) {
    super(`the api answered ${answer.status} ${answer.code ?? ''}: ${answer.detail}`)
    this.name = 'InternalApiError'
    this.status = answer.status
    this.code = answer.code
  }
}

/**
 * Whether asking again may help: nobody answered, too much was asked, the api is in trouble, or
 * it has not yet seen that this pod is the current attempt.
 */
export function isWorthRetrying(error: unknown): boolean {
  if (!(error instanceof InternalApiError)) return isConnectionFailure(error)
  if (error.code === 'attempt.not_current') return true
  return error.status === 429 || error.status === 408 || error.status >= 500
}

/** fetch throws TypeError when no answer came, and a TimeoutError when it came too late. */
function isConnectionFailure(error: unknown): boolean {
  if (error instanceof TypeError) return true
  return error instanceof DOMException && error.name === 'TimeoutError'
}
