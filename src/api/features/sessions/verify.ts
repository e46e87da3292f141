import { AppError } from '../../../shared/errors.ts'
import type { SignedIn } from '../../plugins/route-config.ts'
import type { Callers } from '../users/callers.ts'
import type { Liveness } from './liveness.ts'
import type { Tokens } from './tokens.ts'

export type VerifyParts = {
  readonly tokens: Pick<Tokens, 'verify'>
  readonly liveness: Liveness
  readonly callers: Callers
}

/**
 * A token of ours counts only while its session lives and its person is active.
 * Throws `auth.invalid_token`.
 */
export async function verifyAccessToken(
  { tokens, liveness, callers }: VerifyParts,
  token: string,
): Promise<SignedIn> {
  const { userId, sessionId, expiresMs } = await tokens.verify(token)
  const [owner, caller] = await Promise.all([liveness.ownerOf(sessionId), callers.find(userId)])
  if (owner !== userId) throw new AppError('auth.invalid_token', 'the session has ended')
  return { caller: { ...caller, sessionId }, expiresMs }
}
