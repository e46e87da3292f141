import { isRefused, KubeError } from '../platform/kube/errors.ts'
import { isAppError } from '../shared/errors.ts'

/** Answers that the next try may get another one to: nobody need be told. */
const passingStatus: readonly number[] = [401, 404, 408, 409, 410, 429]
const sentence = 'The controller cannot work on this object and tries again, ever more rarely.'

/**
 * What people are told of a fault that makes a reconcile throw again and again; undefined for one
 * that passes by itself.
 */
export function lastingFault(error: unknown): string | undefined {
  if (!isLasting(error)) return undefined
  return `${sentence} ${error instanceof Error ? error.message : String(error)}`
}

/** Anything that nobody expected lasts as long as the object that brings it to light. */
function isLasting(error: unknown): boolean {
  if (error instanceof KubeError) return isRefused(error) && !passingStatus.includes(error.status)
  return !isAppError(error) || error.code === 'platform.misconfigured'
}
