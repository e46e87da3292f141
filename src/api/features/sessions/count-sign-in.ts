import { isAppError } from '../../../shared/errors.ts'
import type { ApiMetrics } from '../../metrics.ts'

const refusals = ['auth.invalid_credentials', 'sso.refused'] as const

/** Counts how signing in ended, and passes on what came of it. */
export async function countSignIn<Session>(
  { signIns }: Pick<ApiMetrics, 'signIns'>,
  session: Promise<Session>,
): Promise<Session> {
  try {
    const begun = await session
    signIns.inc({ outcome: 'accepted' })
    return begun
  } catch (error) {
    const isRefused = refusals.some((code) => isAppError(error, code))
    signIns.inc({ outcome: isRefused ? 'refused' : 'failed' })
    throw error
  }
}
