import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createIdTokens } from '../../../src/api/features/sso/id-token.ts'
import { openIssuerKeys } from '../../../src/api/features/sso/issuer-keys.ts'
import { type Issuer, readIssuers } from '../../../src/api/features/sso/issuers.ts'
import { createSsoService, type SsoParts } from '../../../src/api/features/sso/service.ts'
import type { Mail } from '../../../src/api/mail/mailer.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { ssoRequest } from '../../../src/shared/wire/sso.ts'
import { eventually } from '../../support/eventually.ts'
import { type LocalIssuer, startLocalIssuer } from '../../support/local-issuer.ts'
import { type Person, startApi, type TestApi } from './harness.ts'
import { newAddress, runTask } from './mailed-codes.ts'

const clientId = 'atelier-console'
let company: LocalIssuer
let partner: LocalIssuer
let api: TestApi
const issuer = (name: string, { address }: LocalIssuer): Issuer => ({
  name,
  displayName: `The ${name}`,
  kind: 'Oidc',
  issuer: address,
  clientId,
})

beforeAll(async () => {
  company = await startLocalIssuer(clientId)
  partner = await startLocalIssuer(clientId)
  api = await startApi({ issuers: [issuer('company', company), issuer('partner', partner)] })
})
afterAll(async () => {
  await api.close()
  await company.close()
  await partner.close()
})

const signIn = async (body: Readonly<Record<string, unknown>>) =>
  await api.call({ method: 'POST', url: '/v1/sessions/sso', body })
const verified = (email: string, sub: string) => ({ email, email_verified: true, sub })
const mailAbout = async (text: string, person: Person) =>
  await eventually(() => {
    const to = api.emailOf(person)
    const isThere = api.mails().some((mail) => mail.to === to && mail.text.includes(text))
    if (!isThere) throw new Error(`no mail to ${person} about ${text} yet`)
  })
const collection = (name: string) => api.core.database.native.collection(name)
type Noted = { readonly action: string; readonly after: unknown }
const idOf = (response: Awaited<ReturnType<typeof signIn>>): string => response.json().user.id

describe('signing in at a provider', () => {
  test('lists the providers without a secret', async () => {
    const { items } = (await api.call({ url: '/v1/sso/issuers' })).json()
    expect(items.map(({ name }: { name: string }) => name)).toEqual(['company', 'partner'])
    expect(Object.keys(items[0])).toEqual(['name', 'displayName', 'kind', 'issuer', 'clientId'])
  })

  test('makes a guest of the department that they ask for, once', async () => {
    const email = `new@${api.surroundings.quality}.example`
    const idToken = await company.token({ ...verified(email, 'new'), name: 'Nari\u0000 New' })
    const body = { issuer: 'company', idToken }
    const undecided = await signIn(body)
    expect([undecided.statusCode, undecided.json().errors[0].path]).toEqual([400, '/department'])
    const nowhere = await signIn({ ...body, department: 'nowhere' })
    expect([nowhere.statusCode, nowhere.json().errors[0].path]).toEqual([400, '/department'])
    const department = api.surroundings.quality
    const tries = await Promise.all([1, 2, 3, 4].map(() => signIn({ ...body, department })))
    expect(tries.map(({ statusCode }) => statusCode)).toEqual([201, 201, 201, 201])
    expect(new Set(tries.map(idOf)).size).toBe(1)
    // A name with a control character is none: the first part of the address stands in.
    expect(tries[0]?.json().user).toMatchObject({ role: 'guest', department, email, name: 'new' })
    const { accessToken } = tries[0]?.json() ?? {}
    const headers = { authorization: `Bearer ${accessToken}` }
    expect((await api.call({ url: '/v1/users/me', headers })).statusCode).toBe(200)
    expect((await api.call({ url: '/v1/jobs', headers })).statusCode).toBe(403)
  })

  test('tells who decides of the guest, and the audit log from where they came', async () => {
    const email = newAddress()
    const idToken = await company.token({ ...verified(email, 'told'), name: 'Toma Told' })
    const department = api.surroundings.quality
    const id = idOf(await signIn({ issuer: 'company', idToken, department }))
    for (const person of ['lead', 'root'] as const) {
      await mailAbout('Toma Told', person)
      const seen = await api.call({ url: '/v1/notifications', as: person })
      expect(seen.json().items).toContainEqual(
        expect.objectContaining({
          kind: 'GuestWaits',
          values: expect.objectContaining({ userId: id }),
        }),
      )
    }
    expect(await collection('users').findOne({ email })).toMatchObject({ errands: [] })
    const noted = (await api.call({ url: `/v1/audit-log?target=${id}`, as: 'root' })).json().items
    const signedUp = { action: 'user.signed_up', after: { role: 'guest', department } }
    expect(noted.map(({ action, after }: Noted) => ({ action, after }))).toContainEqual(signedUp)
    for (const { origin } of noted) expect(origin).toMatchObject({ ip: '127.0.0.1' })
    expect(JSON.stringify(noted)).not.toContain('Toma')
  })

  test('links a verified address to its account, by mail and audit log too', async () => {
    const email = api.emailOf('mina')
    const idToken = await company.token(verified(email.toUpperCase(), 'mina'))
    const response = await signIn({ issuer: 'company', idToken })
    expect(response.json().user).toMatchObject({ email, role: 'department_member' })
    expect((await api.mailTo(email)).subject).not.toBe('')
    const url = `/v1/audit-log?action=user.identity_linked&target=${idOf(response)}`
    expect((await api.call({ url, as: 'root' })).json().items).toHaveLength(1)
    // From now on the subject counts, whatever the address is by then.
    const later = await company.token({ sub: 'mina', email: 'other@x.example' })
    expect(idOf(await signIn({ issuer: 'company', idToken: later }))).toBe(idOf(response))
  })

  test('an address that the provider has not verified opens nobody’s account', async () => {
    const email = api.emailOf('noor')
    for (const email_verified of [false, undefined, 'true']) {
      const idToken = await company.token({ email, email_verified, sub: 'thief' })
      const response = await signIn({ issuer: 'company', idToken })
      expect([response.statusCode, response.json().code]).toEqual([401, 'sso.refused'])
    }
  })

  test('the same subject at another provider is somebody else', async () => {
    const mine = await signIn({
      issuer: 'company',
      idToken: await company.token(verified(api.emailOf('sam'), 'shared')),
    })
    const email = `twin@${api.surroundings.quality}.example`
    const theirs = await signIn({
      issuer: 'partner',
      idToken: await partner.token(verified(email, 'shared')),
      department: api.surroundings.quality,
    })
    expect([mine.statusCode, theirs.statusCode]).toEqual([201, 201])
    expect(idOf(theirs)).not.toBe(idOf(mine))
    const crossed = await signIn({
      issuer: 'partner',
      idToken: await company.token(verified(api.emailOf('sam'), 'shared')),
    })
    expect(crossed.json().code).toBe('sso.refused')
  })

  test('somebody who is disabled stays outside', async () => {
    const idToken = await company.token(verified(api.emailOf('poor'), 'poor'))
    const first = await signIn({ issuer: 'company', idToken })
    const url = `/v1/users/${idOf(first)}/disable`
    expect((await api.call({ method: 'POST', url, as: 'root' })).statusCode).toBeLessThan(300)
    const again = await signIn({ issuer: 'company', idToken })
    expect([again.statusCode, again.json().code]).toEqual([401, 'sso.refused'])
  })

  test('an unknown provider and a token that is none are refused by name', async () => {
    const idToken = await company.token()
    expect((await signIn({ issuer: 'nobody', idToken })).json().code).toBe('sso.unknown_issuer')
    const garbage = await signIn({ issuer: 'company', idToken: 'garbage' })
    expect(garbage.json()).toMatchObject({ status: 401, code: 'sso.refused' })
    expect(garbage.body).not.toContain('garbage')
  })

  test('an ID token is no access token', async () => {
    const headers = { authorization: `Bearer ${await company.token()}` }
    expect((await api.call({ url: '/v1/users/me', headers })).json().code).toBe(
      'auth.invalid_token',
    )
  })
})

/** The service on its own, up to where a test lets it crash. */
const signInWith = async (changes: Partial<SsoParts>, email: string, sub: string) => {
  const provider = issuer('company', company)
  const keys = openIssuerKeys(provider, { clock: systemClock, log: { warn: () => undefined } })
  const sso = createSsoService({
    ...api.core.people,
    providers: [{ issuer: provider, idTokens: createIdTokens(provider, keys, systemClock) }],
    keeper: { start: async () => await crash() },
    errands: { finish: async () => undefined },
    mailer: { send: async () => undefined },
    clock: systemClock,
    ...changes,
  })
  const idToken = await company.token({ ...verified(email, sub), name: 'Lee Left' })
  const { quality: department } = api.surroundings
  const wish = { issuer: 'company', idToken, department }
  return await sso.signIn(ssoRequest.parse(wish), { ip: '', userAgent: '', requestId: '' })
}
const crash = async () => await Promise.reject(new Error('crashed'))

describe('a crash while somebody signs in at a provider', () => {
  test('right after the guest was made keeps what those who decide are told', async () => {
    const email = newAddress()
    await expect(signInWith({ errands: { finish: crash } }, email, 'left')).rejects.toThrow(
      'crashed',
    )
    await runTask(api, 'people-errands')
    for (const person of ['lead', 'root'] as const) {
      await mailAbout('Lee Left', person)
      const seen = await api.call({ url: '/v1/notifications', as: person })
      expect(JSON.stringify(seen.json().items)).toContain('Lee Left')
    }
    expect(await collection('users').findOne({ email })).toMatchObject({ errands: [] })
  })

  test('before the link is there loses no mail about it', async () => {
    const { directory } = api.core.people
    const identities = { ...directory.identities, claim: crash }
    const sent: Mail[] = []
    const mailer = { send: async (mail: Mail) => await Promise.resolve(void sent.push(mail)) }
    const changes = { directory: { ...directory, identities }, mailer }
    const email = api.emailOf('noor')
    await expect(signInWith(changes, email, 'noor')).rejects.toThrow('crashed')
    expect(sent).toMatchObject([{ to: email, content: { template: 'IdentityLinked' } }])
  })
})

test('an address that leads to somebody who has another one links nobody', async () => {
  const email = newAddress()
  const { directory } = api.core.people
  const { _id: userId = '' } = (await directory.findByEmail(api.emailOf('gast'))) ?? {}
  const identity = { _id: `email:${email}`, kind: 'Email', userId } as const
  await directory.identities.claim({ ...identity, creationTimeMs: Date.now() })
  const idToken = await company.token(verified(email, 'half'))
  const department = api.surroundings.quality
  const response = await signIn({ issuer: 'company', idToken, department })
  expect([response.statusCode, response.json().code]).toEqual([503, 'platform.unavailable'])
  expect(await directory.identities.listOf(userId)).toHaveLength(2)
})

describe('the file of providers', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atelier-issuers-'))
  })
  afterAll(async () => await rm(folder, { recursive: true, force: true }))
  const read = async (content: unknown) => {
    const file = join(folder, 'issuers.json')
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
    return await readIssuers(file)
  }

  test('knows where Firebase keeps its keys', async () => {
    const [firebase] = await read([{ kind: 'Firebase', name: 'firebase', project: 'our-project' }])
    expect(firebase).toMatchObject({
      issuer: 'https://securetoken.google.com/our-project',
      clientId: 'our-project',
      jwksUri: expect.stringMatching(/^https:\/\/www\.googleapis\.com\//),
    })
  })

  const good = { kind: 'Oidc', name: 'a', issuer: 'https://a.example', clientId: 'c' }
  test.each([
    ['no JSON', '{', 'JSON'],
    ['keys over plain HTTP', [{ ...good, issuer: 'http://a.example' }], 'https'],
    ['two of one name', [good, good], 'one name'],
    ['an unknown field', [{ ...good, secret: 'x' }], '0'],
    ['no list', {}, 'array'],
  ])('is refused with %s', async (_name, content, word) => {
    await expect(read(content)).rejects.toMatchObject({
      code: 'platform.misconfigured',
      message: expect.stringContaining(word),
    })
  })

  test('is not needed', async () => {
    expect(await readIssuers(undefined)).toEqual([])
  })
})
