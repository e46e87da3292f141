import { AppError } from '../../../shared/errors.ts'
import type { SessionRequest, SessionView } from '../../../shared/wire/sessions.ts'
import { toUserView } from '../users/service.ts'
import type { UserRow } from '../users/store.ts'
import type { Passwords } from './passwords.ts'
import { accessTokenSeconds, type Tokens } from './tokens.ts'

export type SessionParts = {
  readonly findForSignIn: (email: string) => Promise<UserRow | null>
  readonly passwords: Passwords
  readonly tokens: Tokens
}
export type SessionService = {
  /** Open to everybody. Throws `auth.invalid_credentials`, never saying which of the two is wrong. */
  readonly signIn: (request: SessionRequest) => Promise<SessionView>
}

export function createSessionService(parts: SessionParts): SessionService {
  const { findForSignIn, passwords, tokens } = parts
  return {
    signIn: async ({ email, password }) => {
      const record = await findForSignIn(email)
      const matches = await passwords.verify(password, record?.passwordHash ?? null)
      if (record === null || !matches) {
        throw new AppError('auth.invalid_credentials', 'no account has this e-mail and password')
      }
      return {
        accessToken: await tokens.sign(record._id),
        tokenType: 'Bearer',
        expiresIn: accessTokenSeconds,
        user: toUserView(record),
      }
    },
  }
}
