import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emailIdentity } from '../../../src/api/features/users/identities.ts'
import type { UserRow } from '../../../src/api/features/users/store.ts'
import { profileView } from '../../../src/shared/wire/users.ts'
import { type Person, startApi, type TestApi } from '../api-http/harness.ts'
import { type Newcomers, openNewcomers } from './newcomers.ts'

let api: TestApi
let newcomers: Newcomers

beforeAll(async () => {
  api = await startApi()
  newcomers = await openNewcomers(api)
})
afterAll(async () => await api.close())

describe('who may do what to whom', () => {
  const actions = {
    read: ['GET', '', undefined],
    rename: ['PATCH', '', { name: 'Renamed' }],
    approve: ['POST', '/approve', undefined],
    reject: ['POST', '/reject', undefined],
    disable: ['POST', '/disable', undefined],
    enable: ['POST', '/enable', undefined],
    promote: ['PUT', '/role', { role: 'department_admin' }],
    move: ['PUT', '/department', { department: 'set below' }],
    tier: ['PUT', '/membership', { tier: 'Premium', expiresTime: null }],
    remove: ['DELETE', '', undefined],
  } as const
  type Action = keyof typeof actions
  const names: readonly Action[] = [
    'read',
    'rename',
    'approve',
    'reject',
    'disable',
    'enable',
    'promote',
    'move',
    'tier',
    'remove',
  ]
  const superOnly: readonly Action[] = ['promote', 'move', 'tier', 'remove']
  const forGuests: readonly Action[] = ['approve', 'reject']

  async function statusOf(as: Person, action: Action, target: UserRow): Promise<number> {
    const [method, path, body] = actions[action]
    const { quality, research } = api.surroundings
    const department = target.department === quality ? research : quality
    const sent = action === 'move' ? { department } : body
    return (await newcomers.act(as, `${target._id}${path}`, { method, body: sent })).statusCode
  }

  it.each(['mina', 'gast'] as const)('%s may do nothing', async (who) => {
    const target = await newcomers.create('guest')
    for (const action of names)
      expect([action, await statusOf(who, action, target)]).toEqual([action, 403])
    expect(await newcomers.actionsOn(target)).toEqual(['user.created'])
  })

  it('a department admin decides on guests and members of their own department', async () => {
    for (const action of names) {
      const role = forGuests.includes(action) ? 'guest' : 'department_member'
      const target = await newcomers.create(role)
      const expected = superOnly.includes(action) ? 403 : 200
      expect([action, await statusOf('lead', action, target)]).toEqual([action, expected])
    }
  })

  it('a department admin reads other admins of the department and changes none', async () => {
    for (const role of ['department_admin', 'super_admin'] as const) {
      const target = await newcomers.create(role)
      for (const action of names) {
        const expected = action === 'read' ? 200 : 403
        expect([action, await statusOf('lead', action, target)]).toEqual([action, expected])
      }
      await newcomers.act('root', target._id, { method: 'DELETE' })
    }
  })

  it('a department admin does not find people of other departments', async () => {
    const target = await newcomers.create('guest', api.surroundings.research)
    for (const action of names) {
      const expected = superOnly.includes(action) ? 403 : 404
      expect([action, await statusOf('lead', action, target)]).toEqual([action, expected])
    }
    expect(await newcomers.actionsOn(target)).toEqual(['user.created'])
  })

  it('a super admin does all of it in every department', async () => {
    for (const department of [api.surroundings.quality, api.surroundings.research]) {
      for (const action of names) {
        const role = forGuests.includes(action) ? 'guest' : 'department_member'
        const target = await newcomers.create(role, department)
        const expected = action === 'remove' ? 204 : 200
        expect([action, await statusOf('root', action, target)]).toEqual([action, expected])
      }
    }
  })

  it('nobody locks themselves out', async () => {
    const me = profileView.parse((await api.call({ url: '/v1/users/me', as: 'root' })).json())
    const self = await newcomers.find({ _id: me.id })
    expect(await statusOf('root', 'disable', self)).toBe(403)
    expect(await statusOf('root', 'promote', self)).toBe(403)
    expect(await statusOf('root', 'remove', self)).toBe(403)
    expect((await newcomers.find(self)).revision).toBe(self.revision)
  })
})

describe('a decision on a guest', () => {
  it('approves them once, tells them in their language and lets them in at once', async () => {
    const guest = await newcomers.create('guest')
    const { accessToken } = await newcomers.signIn(guest.email)
    expect(await newcomers.statusOf('/v1/jobs', accessToken)).toBe(403)
    const answers = await Promise.all(
      (['lead', 'root', 'lead'] as const).map((as) => newcomers.act(as, `${guest._id}/approve`)),
    )
    expect(statusesOf(answers)).toEqual([200, 409, 409])
    expect(await newcomers.statusOf('/v1/jobs', accessToken)).toBe(200)
    const mail = await api.mailTo(guest.email)
    expect(mail.text).toMatch(/[가-힣]/)
    expect(await newcomers.actionsOn(guest)).toEqual(['user.created', 'user.approved'])
    const told = api.mails().filter(({ to }) => to === guest.email)
    expect(told).toHaveLength(1)
    const headers = { authorization: `Bearer ${accessToken}` }
    const { items } = (await api.call({ url: '/v1/notifications', headers })).json()
    expect(items).toMatchObject([{ kind: 'AccountApproved', readTime: null }])
  })

  it('rejects them: told, gone, and free to sign up again', async () => {
    const guest = await newcomers.create('guest')
    const { accessToken } = await newcomers.signIn(guest.email)
    expect((await newcomers.act('lead', `${guest._id}/reject`)).json()).toMatchObject({
      state: 'Deleted',
      email: '',
      name: '',
      hasPassword: false,
    })
    await api.mailTo(guest.email)
    expect(await newcomers.statusOf('/v1/users/me', accessToken)).toBe(401)
    expect(await api.core.people.directory.findByEmail(guest.email)).toBeNull()
    expect(await newcomers.actionsOn(guest)).toEqual(['user.created', 'user.rejected'])
    expect(JSON.stringify(await newcomers.find(guest))).not.toContain(guest.email)
    expect((await newcomers.act('lead', `${guest._id}/reject`)).json()).toMatchObject({
      code: 'user.state',
    })
  })

  it('falls to nobody after the days of the settings: the guest is removed', async () => {
    const late = await newcomers.create('guest')
    const fresh = await newcomers.create('guest')
    const member = await newcomers.create('department_member')
    const rows = api.core.database.native.collection<UserRow>('users')
    const creationTimeMs = Date.now() - 3 * 86_400_000 - 1000
    const old = { _id: { $in: [late._id, member._id] } }
    await rows.updateMany(old, { $set: { creationTimeMs } })
    await Promise.all([runTask('guest-removal'), runTask('guest-removal')])
    await runTask('guest-removal')
    expect((await newcomers.find(late)).state).toBe('Deleted')
    expect((await newcomers.find(fresh)).state).toBe('Active')
    expect((await newcomers.find(member)).state).toBe('Active')
    expect(await api.core.people.directory.identities.find(emailIdentity(late.email))).toBeNull()
    expect(await newcomers.auditOf(late)).toEqual([
      expect.objectContaining({ action: 'user.created' }),
      {
        action: 'user.removed',
        by: 'guest-removal',
        before: { state: 'Active' },
        after: { state: 'Deleted' },
      },
    ])
  })
})

describe('disabling', () => {
  it('ends everything at once, and enabling brings back no old session', async () => {
    const person = await newcomers.create('department_member')
    const { accessToken, refreshToken } = await newcomers.signIn(person.email)
    const key = await newcomers.createKey(accessToken, ['users.read_self'])
    expect(await newcomers.statusOf('/v1/users/me', accessToken)).toBe(200)
    expect(await newcomers.statusOf('/v1/users/me', key)).toBe(200)
    expect((await newcomers.act('lead', `${person._id}/disable`)).json()).toMatchObject({
      state: 'Disabled',
    })
    const refresh = async () =>
      await api.call({ method: 'POST', url: '/v1/sessions/refresh', body: { refreshToken } })
    expect(await newcomers.statusOf('/v1/users/me', accessToken)).toBe(401)
    expect((await refresh()).statusCode).toBe(401)
    expect(await newcomers.statusOf('/v1/users/me', key)).toBe(401)
    await expect(newcomers.signIn(person.email)).rejects.toThrow('auth.invalid_credentials')
    expect((await newcomers.act('lead', `${person._id}/disable`)).statusCode).toBe(200)
    expect((await newcomers.act('lead', `${person._id}/enable`)).json()).toMatchObject({
      state: 'Active',
    })
    expect(await newcomers.statusOf('/v1/users/me', accessToken)).toBe(401)
    expect((await refresh()).statusCode).toBe(401)
    await newcomers.signIn(person.email)
    expect((await newcomers.auditOf(person)).map(({ action }) => action)).toEqual(
      expect.arrayContaining(['user.disabled', 'session.ended', 'user.enabled']),
    )
  })
})

describe('deletion', () => {
  it('leaves a tombstone, and the jobs stay readable with its id', async () => {
    const person = await newcomers.create('department_member')
    const { accessToken } = await newcomers.signIn(person.email)
    await api.core.accounts.issue({
      accountId: `member:${person.department}:${person._id}`,
      issueId: person._id,
      microCredits: 100_000_000,
      expiresMs: null,
    })
    const headers = { authorization: `Bearer ${accessToken}` }
    const body = api.jobBody()
    const submitted = await api.call({ method: 'POST', url: '/v1/jobs', headers, body })
    expect(submitted.statusCode).toBe(202)
    expect((await newcomers.act('root', person._id, { method: 'DELETE' })).statusCode).toBe(204)
    expect((await newcomers.act('root', person._id, { method: 'DELETE' })).statusCode).toBe(204)
    expect(await newcomers.statusOf('/v1/users/me', accessToken)).toBe(401)
    for (const as of ['lead', 'root'] as const) {
      const job = await api.call({ url: String(submitted.headers.location), as })
      expect(job.json()).toMatchObject({ owner: { user: person._id } })
      const tombstone = await newcomers.act(as, person._id, { method: 'GET' })
      expect(tombstone.json()).toMatchObject({ state: 'Deleted', email: '', name: '' })
    }
    const listed = await api.call({ url: '/v1/users?limit=100', as: 'root' })
    expect(listed.body).not.toContain(person._id)
    const graves = await api.call({ url: '/v1/users?limit=100&state=Deleted', as: 'root' })
    expect(graves.body).toContain(person._id)
    expect(await newcomers.actionsOn(person)).toEqual(['user.created', 'user.deleted'])
  })

  it('is the end: nothing can be changed any more', async () => {
    const person = await newcomers.create('department_member')
    await newcomers.act('root', person._id, { method: 'DELETE' })
    const later = [
      await newcomers.act('root', `${person._id}/enable`),
      await newcomers.act('root', `${person._id}/role`, {
        method: 'PUT',
        body: { role: 'super_admin' },
      }),
      await newcomers.act('root', person._id, { method: 'PATCH', body: { name: 'Again' } }),
    ]
    for (const response of later) expect(response.json()).toMatchObject({ code: 'user.state' })
  })
})

describe('what a crash left', () => {
  const errand = { _id: 'left', kind: 'ReleaseIdentities' } as const
  const crash = async (person: UserRow) => {
    const facts = {
      action: 'user.deleted',
      target: { kind: 'User', id: person._id, department: null },
    } as const
    const audit = api.core.people.trail.entry('test', facts)
    const set = { state: 'Deleted', email: '', name: '', passwordHash: null } as const
    const change = { set, audit, nowMs: Date.now(), errands: [errand] }
    expect(await api.core.people.users.change(person._id, {}, change)).not.toBeNull()
  }

  it('is finished by the leader', async () => {
    const person = await newcomers.create('department_member')
    await crash(person)
    await runTask('people-errands')
    expect((await newcomers.find(person)).errands).toEqual([])
    expect(await api.core.people.directory.identities.listOf(person._id)).toEqual([])
    await runTask('people-errands')
  })

  it('is finished by a repeat of the deletion', async () => {
    const person = await newcomers.create('department_member')
    await crash(person)
    expect((await newcomers.act('root', person._id, { method: 'DELETE' })).statusCode).toBe(204)
    expect((await newcomers.find(person)).errands).toEqual([])
    expect(await api.core.people.directory.identities.listOf(person._id)).toEqual([])
  })
})

function statusesOf(answers: readonly { readonly statusCode: number }[]): readonly number[] {
  return answers.map(({ statusCode }) => statusCode).toSorted((left, right) => left - right)
}

async function runTask(wanted: string): Promise<void> {
  const task = api.api.leaderTasks.find(({ name }) => name === wanted)
  if (task === undefined) throw new Error(`there is no task ${wanted}`)
  await task.run()
}
