import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Permission } from '../../../src/shared/domain/permissions.ts'
import { type Person, startApi, type TestApi } from './harness.ts'
import { csvHeader, invalidInvite, openInviteRequests, type Sender } from './invite-requests.ts'
import { newAddress, shapeOf } from './mailed-codes.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi({ trustedProxies: ['127.0.0.1'] })
})
afterAll(async () => {
  await api.close()
})

const { invite, tokenFor, accept, importCsv, collection } = openInviteRequests(() => api)
const keyOf = async (as: Person, scopes: readonly Permission[]): Promise<Sender> => {
  const body = { name: 'Line 4', scopes }
  const made = await api.call({ method: 'POST', url: '/v1/api-keys', as, body })
  return { bearer: made.json().key }
}
const rowFor = (email: string, role: string) =>
  `${csvHeader}\n${email},,${api.surroundings.quality},${role}\n`

describe('an API key', () => {
  test.each(['department_admin', 'super_admin'])(
    'that may only invite invites no %s',
    async (role) => {
      const key = await keyOf('root', ['users.invite'])
      const email = newAddress()
      const refused = await invite(email, { role }, key)
      expect(refused.json()).toMatchObject({ status: 403, code: 'auth.forbidden' })
      const file = await importCsv(rowFor(email, role), key)
      expect(file.json()).toMatchObject({ created: 0, refused: [{ line: 2, field: 'role' }] })
      expect(await collection('invites').countDocuments({ email })).toBe(0)
    },
  )

  test('that may only invite invites members', async () => {
    for (const person of ['root', 'lead'] as const) {
      const key = await keyOf(person, ['users.invite'])
      expect((await invite(newAddress(), {}, key)).statusCode).toBe(201)
      const file = await importCsv(rowFor(newAddress(), 'department_member'), key)
      expect(file.json()).toMatchObject({ created: 1, refused: [] })
    }
  })

  test('that may also set roles invites admins', async () => {
    const key = await keyOf('root', ['users.invite', 'users.set_role'])
    expect((await invite(newAddress(), { role: 'super_admin' }, key)).statusCode).toBe(201)
    const file = await importCsv(rowFor(newAddress(), 'department_admin'), key)
    expect(file.json()).toMatchObject({ created: 1, refused: [] })
  })
})

type Admin = { readonly id: string; readonly session: Sender }

async function newAdmin(role: 'department_admin' | 'super_admin'): Promise<Admin> {
  const email = newAddress()
  await invite(email, { role }, 'root')
  const { user, accessToken } = (await accept(await tokenFor(email))).json()
  return { id: user.id, session: { bearer: accessToken } }
}

const act = async (method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown) => {
  const answer = await api.call({ method, url: `/v1/users/${path}`, as: 'root', body })
  expect(answer.statusCode).toBeLessThan(300)
}
const fates = {
  disabled: async (id: string) => await act('POST', `${id}/disable`),
  deleted: async (id: string) => await act('DELETE', id),
  'made a member': async (id: string) =>
    await act('PUT', `${id}/role`, { role: 'department_member' }),
  'made a department admin': async (id: string) =>
    await act('PUT', `${id}/role`, { role: 'department_admin' }),
  moved: async (id: string) =>
    await act('PUT', `${id}/department`, { department: api.surroundings.research }),
} as const

describe('the invitation of an admin who was', () => {
  test.each([
    ['department_admin', 'disabled', 'department_member'],
    ['department_admin', 'deleted', 'department_member'],
    ['department_admin', 'made a member', 'department_member'],
    ['department_admin', 'moved', 'department_member'],
    ['super_admin', 'disabled', 'super_admin'],
    ['super_admin', 'made a department admin', 'super_admin'],
    ['super_admin', 'made a department admin', 'department_admin'],
  ] as const)('%s and is %s makes nobody a %s', async (inviterRole, fate, role) => {
    const { id, session } = await newAdmin(inviterRole)
    const email = newAddress()
    expect((await invite(email, { role }, session)).statusCode).toBe(201)
    const token = await tokenFor(email)
    await fates[fate](id)
    const refused = await accept(token)
    expect(refused.json()).toMatchObject(invalidInvite)
    expect(shapeOf(refused)).toEqual(shapeOf(await accept('nonsense')))
    expect(await collection('users').countDocuments({ email })).toBe(0)
    // A file says the same as the one that is dead: it must not be taken for good.
    const again = await importCsv(rowFor(email, role), 'root')
    expect(again.json()).toMatchObject({ created: 1, unchanged: 0 })
    expect((await accept(await tokenFor(email))).json()).toMatchObject({ user: { email, role } })
  })

  test.each([
    ['super_admin', 'moved', 'super_admin'],
    ['super_admin', 'made a department admin', 'department_member'],
  ] as const)('%s and is %s still makes a %s', async (inviterRole, fate, role) => {
    const { id, session } = await newAdmin(inviterRole)
    const email = newAddress()
    await invite(email, { role }, session)
    await fates[fate](id)
    const accepted = await accept(await tokenFor(email))
    expect(accepted.json()).toMatchObject({ user: { email, role } })
  })

  test('disabled is good again once they are enabled', async () => {
    const { id, session } = await newAdmin('department_admin')
    const email = newAddress()
    await invite(email, {}, session)
    const token = await tokenFor(email)
    await fates.disabled(id)
    expect((await accept(token)).json()).toMatchObject(invalidInvite)
    await act('POST', `${id}/enable`)
    expect((await accept(token)).statusCode).toBe(201)
  })
})
