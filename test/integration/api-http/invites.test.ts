import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { startApi, type TestApi } from './harness.ts'
import { csvHeader, invalidInvite, openInviteRequests } from './invite-requests.ts'
import { newAddress, runTask } from './mailed-codes.ts'

const firstAdminEmail = 'first@admin.example'

let api: TestApi
beforeAll(async () => {
  api = await startApi({ trustedProxies: ['127.0.0.1'], firstAdminEmail })
})
afterAll(async () => {
  await api.close()
})

const { invite, tokenFor, accept, revoke, importCsv, collection } = openInviteRequests(() => api)

describe('an invitation', () => {
  test('comes by mail and makes its receiver a member at once', async () => {
    const email = newAddress()
    const made = await invite(email, { name: 'Ida', language: 'en' })
    expect(made.statusCode).toBe(201)
    expect(made.json()).toMatchObject({ email, name: 'Ida', state: 'Open' })
    expect(made.body).not.toContain('tokenHash')
    const token = await tokenFor(email)
    expect(JSON.stringify(await collection('invites').find().toArray())).not.toContain(
      token.slice(27),
    )
    const session = await accept(` ${token} `)
    expect(session.statusCode).toBe(201)
    const { user, accessToken } = session.json()
    expect(user).toMatchObject({
      email,
      name: 'Ida Invited',
      role: 'department_member',
      department: api.surroundings.quality,
    })
    const headers = { authorization: `Bearer ${accessToken}` }
    expect((await api.call({ url: '/v1/jobs', headers })).statusCode).toBe(200)
    const actions = await collection('auditLog')
      .find({ 'target.id': { $in: [made.json().id, user.id] } })
      .sort({ _id: 1 })
      .toArray()
    expect(actions.map(({ action }) => action)).toEqual([
      'user.invited',
      'user.invite_accepted',
      'session.started',
    ])
    const lead = await api.core.people.directory.findByEmail(api.emailOf('lead'))
    const facts = { invite: made.json().id, invitedBy: lead?._id }
    expect(actions[1]).toMatchObject({ after: facts })
    expect(JSON.stringify(actions)).not.toContain(email)
  })

  test('is good once, also for two at the same moment', async () => {
    const email = newAddress()
    await invite(email)
    const token = await tokenFor(email)
    const answers = await Promise.all([accept(token), accept(token)])
    const statuses = new Set(answers.map(({ statusCode }) => statusCode))
    expect(statuses).toEqual(new Set([201, 422]))
    expect((await accept(token)).json()).toMatchObject(invalidInvite)
    expect(await collection('users').countDocuments({ email })).toBe(1)
  })

  test('that comes again kills the token of the one before', async () => {
    const email = newAddress()
    const first = (await invite(email)).json()
    const firstToken = await tokenFor(email)
    await invite(email.toUpperCase())
    const secondToken = await tokenFor(email.toUpperCase())
    expect((await accept(firstToken)).json()).toMatchObject(invalidInvite)
    const page = await api.call({ url: '/v1/invites?limit=100', as: 'lead' })
    const old = page.json().items.find(({ id }: { id: string }) => id === first.id)
    expect(old).toMatchObject({ state: 'Revoked' })
    const [, ended] = await collection('auditLog')
      .find({ 'target.id': first.id })
      .sort({ _id: 1 })
      .toArray()
    expect(ended).toMatchObject({
      action: 'user.invite_revoked',
      actor: { kind: 'User', role: 'department_admin' },
      target: { kind: 'Invite', department: api.surroundings.quality },
    })
    expect((await accept(secondToken)).statusCode).toBe(201)
  })

  test('is found by its address without reading all others', async () => {
    const indexes = await collection('invites').indexes()
    expect(indexes.map(({ key }) => key)).toContainEqual({ emailKey: 1, _id: 1 })
  })

  test('sent five times at once leaves one that is open', async () => {
    const email = newAddress()
    await Promise.all(Array.from({ length: 5 }, async () => await invite(email)))
    expect(await collection('invites').countDocuments({ email, state: 'Open' })).toBe(1)
  })

  test('is refused with a weak password, and stays good', async () => {
    const email = newAddress()
    await invite(email)
    const token = await tokenFor(email)
    const weak = await accept(token, { password: 'Ida Invited 1' })
    expect(weak.json()).toMatchObject({ status: 400, errors: [{ path: '/password' }] })
    expect((await accept(token)).statusCode).toBe(201)
  })

  test('that expired, was revoked or never was gets one answer', async () => {
    const expired = newAddress()
    const { id } = (await invite(expired)).json()
    const expiredToken = await tokenFor(expired)
    await collection('invites').updateOne({ email: expired }, { $set: { expiresMs: Date.now() } })
    const list = await api.call({ url: '/v1/invites?limit=100', as: 'lead' })
    expect(list.json().items).toContainEqual(expect.objectContaining({ id, state: 'Expired' }))
    const revoked = newAddress()
    const other = (await invite(revoked)).json()
    const revokedToken = await tokenFor(revoked)
    expect((await revoke(other.id, 'lead')).statusCode).toBe(204)
    expect((await revoke(other.id, 'lead')).statusCode).toBe(204)
    const forged = `${other.id}.${'a'.repeat(43)}`
    const answers = await Promise.all(
      [expiredToken, revokedToken, forged, 'nonsense'].map(async (one) => await accept(one)),
    )
    for (const answer of answers) {
      expect({ ...answer.json(), instance: '' }).toEqual({
        ...answers[0]?.json(),
        instance: '',
        ...invalidInvite,
      })
    }
    await collection('invites').updateOne({ email: expired }, { $set: { expiresMs: 1 } })
    await runTask(api, 'remove-old-invites')
    expect(await collection('invites').countDocuments({ email: expired })).toBe(0)
  })

  test('to an address that signed up meanwhile is void', async () => {
    const email = newAddress()
    await invite(email)
    const token = await tokenFor(email)
    const mina = await api.core.people.directory.findByEmail(api.emailOf('mina'))
    await collection('users').updateOne({ _id: mina?._id } as object, { $set: { email } })
    await api.core.people.directory.identities.claim({
      _id: `email:${email}`,
      kind: 'Email',
      userId: mina?._id ?? '',
      creationTimeMs: Date.now(),
    })
    expect((await accept(token)).json()).toMatchObject(invalidInvite)
    await collection('users').updateOne({ _id: mina?._id } as object, {
      $set: { email: api.emailOf('mina') },
    })
  })
})

describe('who may invite whom', () => {
  test.each([
    ['lead', { role: 'department_admin' }, 403],
    ['lead', { role: 'super_admin' }, 403],
    ['mina', {}, 403],
    ['gast', {}, 403],
    ['root', { role: 'super_admin' }, 201],
    ['root', { role: 'department_admin' }, 201],
    ['root', { department: 'nowhere' }, 404],
    ['root', { role: 'guest' }, 400],
  ] as const)('%s with %j: %i', async (person, changes, status) => {
    expect((await invite(newAddress(), changes, person)).statusCode).toBe(status)
  })

  test('another department is not there for a department admin', async () => {
    const { research } = api.surroundings
    const foreign = await invite(newAddress(), { department: research })
    expect(foreign.json()).toMatchObject({ status: 404, code: 'department.not_found' })
    const { id } = (await invite(newAddress(), { department: research }, 'root')).json()
    expect((await revoke(id, 'lead')).json()).toMatchObject({ code: 'invite.not_found' })
    const list = await api.call({ url: '/v1/invites?limit=100', as: 'lead' })
    expect(list.body).not.toContain(id)
    const all = await api.call({ url: '/v1/invites?limit=100', as: 'root' })
    expect(all.body).toContain(id)
  })

  test('of an admin is neither replaced nor revoked by a department admin', async () => {
    const email = newAddress()
    const { id } = (await invite(email, { role: 'department_admin' }, 'root')).json()
    expect((await revoke(id, 'lead')).statusCode).toBe(403)
    expect((await invite(email)).statusCode).toBe(403)
    expect((await accept(await tokenFor(email))).json().user.role).toBe('department_admin')
  })

  test('who can be seen is named; others get a mail that says so, and no token', async () => {
    const colleague = await invite(api.emailOf('noor'))
    expect(colleague.json()).toMatchObject({ status: 409, code: 'user.email_taken' })
    const email = api.emailOf('sam')
    const stranger = await invite(email)
    expect([stranger.statusCode, stranger.json().state]).toEqual([201, 'Open'])
    expect((await api.mailTo(email)).token).toBeNull()
    const seen = await invite(email, {}, 'root')
    expect(seen.json()).toMatchObject({ status: 409, code: 'user.email_taken' })
  })

  test('pages go through all of them, newest first', async () => {
    const first = await api.call({ url: '/v1/invites?limit=2', as: 'root' })
    const url = `/v1/invites?limit=2&cursor=${first.json().next}`
    const second = await api.call({ url, as: 'root' })
    const ids = [...first.json().items, ...second.json().items].map(({ id }) => id)
    expect(new Set(ids).size).toBe(4)
    const newestFirst = ids.toSorted((left: string, right: string) => (left < right ? 1 : -1))
    expect(ids).toEqual(newestFirst)
    const wrong = await api.call({ url: '/v1/invites?cursor=bm9uc2Vuc2U', as: 'root' })
    expect(wrong.json()).toMatchObject({ status: 400, errors: [{ path: 'cursor' }] })
  })
})

describe('a CSV file of invitations', () => {
  test('invites its good rows, tells the bad ones, and can be sent again', async () => {
    const { quality, research } = api.surroundings
    const [good, named] = [newAddress(), newAddress()]
    const file = [
      `\ufeff${csvHeader}`,
      `${good},,${quality},`,
      `${named},"Kim, Mina",${quality},department_member`,
      `no address,X,${quality},`,
      `${newAddress()},X,${research},`,
      `${newAddress()},X,${quality},super_admin`,
      `${newAddress()},X,${quality},emperor`,
      `${api.emailOf('noor')},X,${quality},`,
      `${good.toUpperCase()},X,${quality},`,
      `${newAddress()},"=HYPERLINK(""x"")\u0000",${quality},`,
    ].join('\r\n')
    const first = await importCsv(file)
    expect(first.statusCode).toBe(200)
    const refused = [
      { line: 4, field: 'email' },
      { line: 5, field: 'department' },
      { line: 6, field: 'role' },
      { line: 7, field: 'role' },
      { line: 8, field: 'email' },
      { line: 9, field: 'email', message: 'is the same address as in line 2' },
      { line: 10, field: 'name' },
    ]
    expect(first.json()).toMatchObject({ created: 2, unchanged: 0, refused })
    expect(first.json().refused).toHaveLength(refused.length)
    const again = await importCsv(file, 'lead', 'text/csv; charset=utf-8')
    expect(again.json()).toMatchObject({ created: 0, unchanged: 2, refused })
    expect((await accept(await tokenFor(named))).statusCode).toBe(201)
    // Mails overtake each other.
    await eventually(() => expect(api.mails().filter(({ to }) => to === good)).toHaveLength(1))
  })

  test.each([
    ['another type', '{}', 'application/json', 415],
    ['no header', 'a,b\n', 'text/csv', 400],
    ['another encoding', Buffer.from([0xff, 0xfe]), 'text/csv', 400],
    ['nothing in it', '', 'text/csv', 400],
    ['more than 256 KiB', 'x'.repeat(256 * 1024 + 1), 'text/csv', 413],
  ])('with %s is refused', async (...row) => {
    const [, body, type, status] = row
    expect((await importCsv(body, 'lead', type)).statusCode).toBe(status)
  })

  test('is for those who may invite', async () => {
    expect((await importCsv(`${csvHeader}\n`, 'mina')).statusCode).toBe(403)
    expect((await importCsv(`${csvHeader}\n`)).json()).toEqual({
      created: 0,
      unchanged: 0,
      refused: [],
    })
  })
})

describe('the first super admin', () => {
  test('is invited while there is none, and again only when that has expired', async () => {
    const invites = collection('invites')
    const mine = { email: firstAdminEmail }
    await runTask(api, 'invite-first-admin')
    expect(await invites.countDocuments(mine)).toBe(0)
    await collection('users').updateMany(
      { role: 'super_admin' },
      { $set: { role: 'department_member' } },
    )
    await runTask(api, 'invite-first-admin')
    await runTask(api, 'invite-first-admin')
    expect(await invites.countDocuments(mine)).toBe(1)
    await tokenFor(firstAdminEmail)
    await invites.updateOne(mine, { $set: { expiresMs: Date.now() } })
    await runTask(api, 'invite-first-admin')
    const { user } = (await accept(await tokenFor(firstAdminEmail))).json()
    expect(user).toMatchObject({ role: 'super_admin', department: 'platform' })
    await runTask(api, 'invite-first-admin')
    expect(await invites.countDocuments(mine)).toBe(2)
    expect(await collection('departments').countDocuments({ _id: 'platform' as never })).toBe(1)
  })
})
