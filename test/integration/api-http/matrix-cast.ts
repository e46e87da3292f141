import { randomBytes } from 'node:crypto'
import { newApiKeyText } from '../../../src/api/features/api-keys/key-text.ts'
import { createApiKeyStore } from '../../../src/api/features/api-keys/store.ts'
import { newRefreshToken } from '../../../src/api/features/sessions/refresh-tokens.ts'
import { createSessionStore, type SessionRow } from '../../../src/api/features/sessions/store.ts'
import { emailIdentity } from '../../../src/api/features/users/identities.ts'
import type { RoutePermission } from '../../../src/api/plugins/route-config.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import {
  type Actor,
  isAllowed,
  keyScopes,
  type Permission,
  type Role,
} from '../../../src/shared/domain/permissions.ts'
import { canaryPassword } from '../../support/canary.ts'
import { hashCheaply } from '../../support/cheap-hash.ts'
import { publicUrl, type TestApi } from './harness.ts'
import type { Place, Relation } from './matrix-rules.ts'

export type MatrixPerson = {
  readonly userId: string
  /** The address that they had, for who was removed. */
  readonly email: string
  readonly role: Role
  readonly department: string
  readonly isActive: boolean
}

/** Somebody who calls. */
export type MatrixCaller = {
  readonly name: string
  /** Whose objects are their own; for nobody a member's. */
  readonly person: MatrixPerson
  /** Null for who has to sign in first. */
  readonly actor: Actor | null
  readonly headers: Readonly<Record<string, string>>
  /** The same with another person, for what changes or ends the caller. */
  readonly renew: () => Promise<MatrixCaller>
}

export type Cast = {
  readonly createPerson: (role: Role, department: string) => Promise<MatrixPerson>
  /** A live session of somebody, with its tokens. */
  readonly beginSession: (person: Pick<MatrixPerson, 'userId'>) => Promise<GivenSession>
  /** Everybody who tries an operation with this permission. */
  readonly callers: (permission: RoutePermission) => Promise<readonly MatrixCaller[]>
  /** To whom an object in this relation to a caller belongs. */
  readonly placeOf: (person: MatrixPerson, relation: Relation) => Place
}

export type GivenSession = {
  readonly id: string
  readonly accessToken: string
  readonly refreshToken: string
}

const lifeMs = 3_600_000
const credits = 1_000_000_000

/** Two departments full of people; those who call are not those who only own something. */
export async function openCast(api: TestApi): Promise<Cast> {
  const { quality, research } = api.surroundings
  const tools = await openTools(api)
  const owners = await createOwners(tools.createPayer, [quality, research])
  const ownerOf = (department: string, role: Role): MatrixPerson => {
    const found = owners.find((one) => one.department === department && one.role === role)
    if (found === undefined) throw new Error(`nobody is ${role} of ${department}`)
    return found
  }
  const fixed = await createCallers(tools, { quality, research })
  const superAdmin = await tools.createPerson('super_admin', quality)
  return {
    ...tools,
    callers: async (permission) => {
      const other = permission === 'models.read' ? 'jobs.read' : 'models.read'
      const name = `a super admin’s key for ${other}`
      return [...fixed, await keyCaller(tools, { name, person: superAdmin, scopes: [other] })]
    },
    placeOf: (person, relation) => {
      const other = person.department === quality ? research : quality
      const department = relation === 'foreign' ? other : person.department
      const { userId: user, ...owner } =
        relation === 'own' || relation === 'absent' ? person : ownerOf(department, roleIn[relation])
      return { relation, user, ...owner }
    },
  }
}

const roleIn = {
  department: 'department_member',
  foreign: 'department_member',
  above: 'department_admin',
  top: 'super_admin',
} as const

type Tools = Awaited<ReturnType<typeof openTools>>

async function openTools(api: TestApi) {
  const { people, accounts, database } = api.core
  const sessions = createSessionStore(database)
  const keys = createApiKeyStore(database)
  const passwordHash = hashCheaply(canaryPassword)
  const createPerson: Cast['createPerson'] = async (role, department) => {
    const email = `${role}-${randomBytes(6).toString('hex')}@matrix.example`
    const draft = { email, name: 'Mori Matrix', language: 'en', role, department } as const
    const row = await people.directory.create(
      { ...draft, passwordHash },
      {
        identity: { _id: emailIdentity(email), kind: 'Email' },
        by: 'test',
        action: 'user.created',
      },
    )
    if (row === null) throw new Error('the address was taken')
    return { userId: row._id, email, role, department, isActive: true }
  }
  /** Somebody whose jobs are accepted. */
  const createPayer: Cast['createPerson'] = async (role, department) => {
    const person = await createPerson(role, department)
    const accountId = accountIdOf({ department, user: person.userId })
    // Entries have one name space: the same id for two accounts would be one issue.
    const issueId = `matrix:${accountId}`
    await accounts.issue({ accountId, issueId, microCredits: credits, expiresMs: null })
    return person
  }
  const beginSession: Cast['beginSession'] = async ({ userId }) => {
    const id = people.newId()
    const { text, hash } = newRefreshToken(id, { ...api.core.people, randomBytes })
    await sessions.insert(sessionRow({ id, userId, refreshHash: hash }))
    const second = Math.floor(Date.now() / 1000)
    const times = { iat: second, nbf: second, exp: second + lifeMs / 1000 }
    const names = { iss: publicUrl, aud: 'atelier-api', sub: userId, sid: id, jti: people.newId() }
    return { id, accessToken: await api.signToken({ ...names, ...times }), refreshToken: text }
  }
  const createKey = async (userId: string, scopes: readonly Permission[]): Promise<string> => {
    const _id = people.newId()
    const { text, hash } = newApiKeyText(_id, randomBytes)
    const times = { creationTimeMs: Date.now(), expiresMs: null, lastUseMs: null, revokedMs: null }
    await keys.insert({ _id, userId, name: 'matrix', hash, scopes, ...times, auditOutbox: [] })
    return text
  }
  const act = async (method: 'POST' | 'DELETE', path: string): Promise<void> => {
    const { statusCode } = await api.call({ method, url: `/v1/users/${path}`, as: 'root' })
    if (statusCode >= 300) throw new Error(`${method} ${path}: ${statusCode}`)
  }
  const isLetIn = async (headers: MatrixCaller['headers']): Promise<boolean> =>
    (await api.call({ url: '/v1/users/me', headers })).statusCode === 200
  return { createPerson, createPayer, createKey, beginSession, act, isLetIn }
}

type NewSession = { readonly id: string; readonly userId: string; readonly refreshHash: string }

export function sessionRow({ id, userId, refreshHash }: NewSession): SessionRow {
  const nowMs = Date.now()
  return {
    _id: id,
    userId,
    method: 'Password',
    refreshHash,
    creationTimeMs: nowMs,
    lastUseTimeMs: nowMs,
    expiresMs: nowMs + lifeMs,
    lastEndMs: nowMs + lifeMs,
    ip: '203.0.113.9',
    userAgent: 'matrix',
    endedMs: null,
    endReason: null,
    auditOutbox: [],
  }
}

/** Those who own what is not the caller's. */
async function createOwners(
  createPayer: Cast['createPerson'],
  departments: readonly string[],
): Promise<readonly MatrixPerson[]> {
  const owners: MatrixPerson[] = []
  for (const department of departments) {
    for (const role of Object.values(roleIn)) owners.push(await createPayer(role, department))
  }
  return owners
}

type Departments = { readonly quality: string; readonly research: string }

async function createCallers(tools: Tools, { quality, research }: Departments) {
  const member = await tools.createPayer('department_member', quality)
  const cast = [
    ['a guest', 'guest', quality],
    ['another member of the department', 'department_member', quality],
    ['a member of another department', 'department_member', research],
    ['the other department’s admin', 'department_admin', research],
    ['the own department’s admin', 'department_admin', quality],
    ['a super admin', 'super_admin', quality],
  ] as const
  const callers: MatrixCaller[] = [
    nobodyLike(member),
    await sessionCaller(tools, 'a member', member),
  ]
  for (const [name, role, department] of cast) {
    const person = await tools.createPayer(role, department)
    callers.push(await sessionCaller(tools, name, person))
  }
  const scopes = keyScopes.filter((scope) => isAllowed('department_member', scope))
  const name = 'a member’s key with all scopes'
  callers.push(await keyCaller(tools, { name, person: member, scopes }))
  for (const end of ['disabled', 'removed'] as const) {
    callers.push(...(await endedCallers(tools, { end, department: quality })))
  }
  return callers
}

function nobodyLike(person: MatrixPerson): MatrixCaller {
  return { name: 'nobody', person, actor: null, headers: {}, renew: renewNobody }
}

function renewNobody(): never {
  throw new Error('nobody is nobody twice')
}

async function sessionCaller(
  tools: Tools,
  name: string,
  person: MatrixPerson,
): Promise<MatrixCaller> {
  const { accessToken } = await tools.beginSession(person)
  return {
    name,
    person,
    actor: person,
    headers: { authorization: `Bearer ${accessToken}` },
    renew: async () => {
      const { role, department } = person
      return await sessionCaller(tools, name, await tools.createPerson(role, department))
    },
  }
}

type NewKeyCaller = {
  readonly name: string
  readonly person: MatrixPerson
  readonly scopes: readonly Permission[]
}

async function keyCaller(tools: Tools, wish: NewKeyCaller): Promise<MatrixCaller> {
  const { name, person, scopes } = wish
  const { role, department } = person
  return {
    name,
    person,
    actor: { ...person, scopes },
    headers: { authorization: `Bearer ${await tools.createKey(person.userId, scopes)}` },
    renew: async () =>
      await keyCaller(tools, { ...wish, person: await tools.createPerson(role, department) }),
  }
}

type Ended = { readonly end: 'disabled' | 'removed'; readonly department: string }

/** Their token and their key were good until an admin did this. */
async function endedCallers(
  tools: Tools,
  { end, department }: Ended,
): Promise<readonly MatrixCaller[]> {
  const person = await tools.createPerson('department_member', department)
  const before = [
    await sessionCaller(tools, `a ${end} member`, person),
    await keyCaller(tools, { name: `a ${end} member’s key`, person, scopes: keyScopes }),
  ]
  for (const { name, headers } of before) {
    if (!(await tools.isLetIn(headers))) throw new Error(`${name} was never let in`)
  }
  if (end === 'disabled') await tools.act('POST', `${person.userId}/disable`)
  else await tools.act('DELETE', person.userId)
  return before.map((caller) => ({
    ...caller,
    person: { ...person, isActive: false },
    actor: null,
  }))
}
