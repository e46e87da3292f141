import { expect } from 'vitest'
import type { Call, Person, TestApi } from './harness.ts'
import { fromAnywhere, goodPassword, poster } from './mailed-codes.ts'

export const csvHeader = 'email,name,department,role'
export const invalidInvite = { status: 422, code: 'invite.invalid' }

/** Who sends a request: an account of the harness, or whoever a token or key belongs to. */
export type Sender = Person | { readonly bearer: string }

/** Requests about invitations, to the department `quality` unless told otherwise. */
export function openInviteRequests(api: () => TestApi) {
  const post = poster(api)
  const invite = async (email: string, changes = {}, sender: Sender = 'lead') =>
    await post(
      '/v1/invites',
      { email, department: api().surroundings.quality, ...changes },
      from(sender),
    )
  const tokenFor = async (email: string): Promise<string> => {
    const { token } = await api().mailTo(email)
    expect(token).not.toBeNull()
    return decodeURIComponent(token ?? '')
  }
  const accept = async (token: string, changes = {}) =>
    await post('/v1/invites/accept', {
      token,
      password: goodPassword,
      name: 'Ida Invited',
      language: 'en',
      ...changes,
    })
  const revoke = async (id: string, sender: Sender) =>
    await api().call({ method: 'DELETE', url: `/v1/invites/${id}`, ...from(sender) })
  const importCsv = async (body: string | Buffer, sender: Sender = 'lead', type = 'text/csv') =>
    await post('/v1/invites/import?language=en', body, from(sender, { 'content-type': type }))
  const collection = (name: string) => api().core.database.native.collection(name)
  return { invite, tokenFor, accept, revoke, importCsv, collection }
}

function from(sender: Sender, own: Call['headers'] = {}): Pick<Call, 'as' | 'headers'> {
  const headers = { ...fromAnywhere(), ...own }
  if (typeof sender === 'string') return { as: sender, headers }
  return { headers: { ...headers, authorization: `Bearer ${sender.bearer}` } }
}
