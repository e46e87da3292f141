import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { firstAdminTask } from '../../../src/api/features/invites/first-admin.ts'
import { importInvites } from '../../../src/api/features/invites/import.ts'
import { invitePerson } from '../../../src/api/features/invites/invite.ts'
import { createInviteStore } from '../../../src/api/features/invites/store.ts'
import type { Mail } from '../../../src/api/mail/mailer.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import type { Caller } from '../../../src/shared/domain/caller.ts'
import { AppError } from '../../../src/shared/errors.ts'
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

const { invite, tokenFor, accept, importCsv, collection } = openInviteRequests(() => api)
const fileOf = (emails: readonly string[]): string =>
  [csvHeader, ...emails.map((email) => `${email},,${api.surroundings.quality},`)].join('\n')
const lead = async (): Promise<Caller> => {
  const row = await api.core.people.directory.findByEmail(api.emailOf('lead'))
  if (row === null) throw new Error('the lead is there')
  return { userId: row._id, role: row.role, department: row.department }
}
const newInvite = (email: string) =>
  ({
    email,
    name: null,
    department: api.surroundings.quality,
    role: 'department_member',
    language: 'en',
  }) as const

/** As in the api, but it breaks off at the first mail, after the invite was stored. */
function breakingParts() {
  const mails: Mail[] = []
  const send = async (mail: Mail): Promise<void> => {
    mails.push(mail)
    if (mails.length === 1) throw new AppError('platform.unavailable', 'broken off')
  }
  const invites = createInviteStore(api.core.database)
  const parts = {
    ...api.core.people,
    invites,
    mailer: { send },
    clock: systemClock,
    randomBytes,
  }
  return { parts, mails }
}
const brokenOff = { code: 'platform.unavailable' }

describe('an invitation that breaks off before its mail', () => {
  test('is replaced by the next one', async () => {
    const email = newAddress()
    const { parts } = breakingParts()
    const wish = { invite: newInvite(email), keepSame: false }
    await expect(invitePerson(parts, await lead(), wish)).rejects.toMatchObject(brokenOff)
    expect(await collection('invites').countDocuments({ email, state: 'Open' })).toBe(1)
    expect((await invite(email)).statusCode).toBe(201)
    expect(await collection('invites').countDocuments({ email, state: 'Open' })).toBe(1)
    expect((await accept(await tokenFor(email))).statusCode).toBe(201)
  })

  test('leaves a file to invite them anew', async () => {
    const email = newAddress()
    const { parts } = breakingParts()
    const bytes = Buffer.from(fileOf([email]))
    const broken = importInvites(parts, await lead(), { bytes, language: 'en' })
    await expect(broken).rejects.toMatchObject(brokenOff)
    const again = await importCsv(fileOf([email]))
    expect(again.json()).toEqual({ created: 1, unchanged: 0, refused: [] })
    const token = await tokenFor(email)
    const third = await importCsv(fileOf([email]))
    expect(third.json()).toEqual({ created: 0, unchanged: 1, refused: [] })
    expect((await accept(token)).statusCode).toBe(201)
  })

  test('does not count beside an older one that was mailed', async () => {
    const email = newAddress()
    await invite(email, { language: 'en' })
    const token = await tokenFor(email)
    const { parts } = breakingParts()
    const wish = { invite: newInvite(email), keepSame: true }
    const { isNew } = await invitePerson(parts, await lead(), wish)
    expect(isNew).toBe(false)
    expect((await accept(token)).statusCode).toBe(201)
  })

  test('of the release before counts as mailed', async () => {
    const email = newAddress()
    await invite(email)
    const token = await tokenFor(email)
    await collection('invites').updateOne({ email }, { $unset: { mailedMs: '' } })
    expect((await importCsv(fileOf([email]))).json()).toMatchObject({ created: 0, unchanged: 1 })
    expect((await accept(token)).statusCode).toBe(201)
  })
})

test('a file stops where the database breaks off, and goes on when it is sent again', async () => {
  const emails = Array.from({ length: 60 }, newAddress)
  const { parts, mails } = breakingParts()
  const bytes = Buffer.from(fileOf(emails))
  const broken = importInvites(parts, await lead(), { bytes, language: 'en' })
  await expect(broken).rejects.toMatchObject(brokenOff)
  const again = (await importCsv(fileOf(emails))).json()
  // Whoever was at work finished one row.
  expect(mails.length).toBeLessThanOrEqual(8)
  expect(again.created + again.unchanged).toBe(60)
  expect(again.created).toBeGreaterThan(52)
  expect((await accept(await tokenFor(mails[0]?.to ?? ''))).statusCode).toBe(201)
})

test('the first super admin is invited again when the mail broke off', async () => {
  await collection('users').updateMany(
    { role: 'super_admin' },
    { $set: { role: 'department_member' } },
  )
  const { parts, mails } = breakingParts()
  await expect(firstAdminTask(parts, firstAdminEmail).run()).rejects.toMatchObject(brokenOff)
  expect(mails).toHaveLength(1)
  await runTask(api, 'invite-first-admin')
  const token = await tokenFor(firstAdminEmail)
  await runTask(api, 'invite-first-admin')
  expect(api.mails().filter(({ to }) => to === firstAdminEmail)).toHaveLength(1)
  const content = mails[0]?.content
  const lost = content?.template === 'Invited' ? content.token : ''
  expect((await accept(lost)).json()).toMatchObject(invalidInvite)
  const { user } = (await accept(token)).json()
  expect(user).toMatchObject({ email: firstAdminEmail, role: 'super_admin' })
})
