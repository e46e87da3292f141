import { randomBytes } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import { z } from 'zod'
import { emailIdentity } from '../../../src/api/features/users/identities.ts'
import type { UserRow } from '../../../src/api/features/users/store.ts'
import type { Permission, Role } from '../../../src/shared/domain/permissions.ts'
import { type AuditEntryView, auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { newApiKeyView } from '../../../src/shared/wire/api-keys.ts'
import type { Call, Person, TestApi } from '../api-http/harness.ts'
import { otherCanaryPassword } from '../../support/canary.ts'
import { hashCheaply } from '../../support/cheap-hash.ts'

export const password = otherCanaryPassword

export type SignedInSession = {
  readonly id: string
  readonly accessToken: string
  readonly refreshToken: string
}
const session = z.object({ id: z.string(), accessToken: z.string(), refreshToken: z.string() })

/** People of their own for each test, beside the harness's. */
export type Newcomers = {
  readonly create: (role: Role, department?: string) => Promise<UserRow>
  readonly signIn: (email: string, secret?: string) => Promise<SignedInSession>
  /** A new API key of whoever the token belongs to. */
  readonly createKey: (token: string, scopes: readonly Permission[]) => Promise<string>
  /** Status of a request with this token. */
  readonly statusOf: (url: string, token: string) => Promise<number>
  /** One of the harness's people does something to a path below /v1/users. */
  readonly act: (as: Person, path: string, wish?: Wish) => Promise<LightMyRequestResponse>
  readonly find: (person: Pick<UserRow, '_id'>) => Promise<UserRow>
  /** What the log has about somebody, oldest first. */
  readonly auditOf: (person: Pick<UserRow, '_id'>) => Promise<readonly Noted[]>
  /** The same without sessions, and only what was done. */
  readonly actionsOn: (person: Pick<UserRow, '_id'>) => Promise<readonly string[]>
}

/** POST without a body, unless it says otherwise. */
export type Wish = { readonly method?: Call['method']; readonly body?: unknown }
export type Noted = Pick<AuditEntryView, 'action' | 'before' | 'after'> & { readonly by: string }

export async function openNewcomers(test: TestApi): Promise<Newcomers> {
  const passwordHash = hashCheaply(password)
  const { directory } = test.core.people
  const auditOf: Newcomers['auditOf'] = async ({ _id }) => {
    const response = await test.call({ url: `/v1/audit-log?target=${_id}&limit=100`, as: 'root' })
    return auditLogPage
      .parse(response.json())
      .items.toReversed()
      .map(({ action, actor, before, after }) => ({ action, by: actor.id, before, after }))
  }
  return {
    auditOf,
    actionsOn: async (person) => {
      const actions = (await auditOf(person)).map(({ action }) => action)
      return actions.filter((action) => !action.startsWith('session.'))
    },
    act: async (as, path, { method = 'POST', body } = {}) =>
      await test.call({ method, url: `/v1/users/${path}`, as, body }),
    find: async ({ _id }) => {
      const row = await directory.find(_id)
      if (row === null) throw new Error('the row is gone')
      return row
    },
    create: async (role, department = test.surroundings.quality) => {
      const email = `${role}-${randomBytes(4).toString('hex')}@people.example`
      const draft = { email, name: 'Nova Newcomer', language: 'ko', role, department } as const
      const identity = { _id: emailIdentity(email), kind: 'Email' } as const
      const options = { identity, by: 'test', action: 'user.created' } as const
      const row = await directory.create({ ...draft, passwordHash }, options)
      if (row === null) throw new Error('the address was taken')
      return row
    },
    signIn: async (email, secret = password) => {
      const body = { email, password: secret }
      const response = await test.call({ method: 'POST', url: '/v1/sessions', body })
      if (response.statusCode !== 201) throw new Error(`not signed in: ${response.body}`)
      return session.parse(response.json())
    },
    createKey: async (token, scopes) => {
      const headers = { authorization: `Bearer ${token}` }
      const body = { name: 'line 4', scopes }
      const response = await test.call({ method: 'POST', url: '/v1/api-keys', headers, body })
      return newApiKeyView.parse(response.json()).key
    },
    statusOf: async (url, token) => {
      const headers = { authorization: `Bearer ${token}` }
      return (await test.call({ url, headers })).statusCode
    },
  }
}
