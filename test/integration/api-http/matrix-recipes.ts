import { randomBytes } from 'node:crypto'
import type { RoutePermission } from '../../../src/api/plugins/route-config.ts'
import type { LocalIssuer } from '../../support/local-issuer.ts'
import type { Codes } from '../../../src/api/features/codes/service.ts'
import type { TestApi } from './harness.ts'
import type { Cast, MatrixCaller } from './matrix-cast.ts'
import type { ObjectKind, Target } from './matrix-objects.ts'
import type { Relation, Rule } from './matrix-rules.ts'
import {
  always,
  inDepartment,
  managed,
  managedOthers,
  mine,
  ofAdmins,
  ownElse,
  seen,
} from './matrix-rules.ts'

/** What recipes need to make good requests. */
export type Kitchen = {
  readonly api: TestApi
  readonly cast: Cast
  readonly codes: Codes
  readonly issuer: LocalIssuer
}

export type Order = { readonly caller: MatrixCaller; readonly target: Target }
export type Wish = {
  readonly body?: unknown
  /** With its question mark. */
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** How an operation is tried out, and who may do it on what. */
export type Recipe = {
  /** Said once more than in the route, so that a wrong one there is noticed. */
  readonly permission: RoutePermission
  /** Status of the good answer. */
  readonly good: number
  readonly object: ObjectKind
  /** For calls that go well, where the kept object would be used up. */
  readonly fresh?: ObjectKind
  readonly relations: readonly Relation[]
  readonly rule: Rule
  readonly wish?: (kitchen: Kitchen, order: Order) => Wish | Promise<Wish>
  /** Answers well in any case, with this text only when the rule says so. */
  readonly shows?: (target: Target) => string
  /** Changes or ends the caller. */
  readonly renews?: boolean
}

type Own = Partial<Omit<Recipe, 'permission' | 'good'>>

/** Something of the caller's own that no address names. */
export function self(permission: RoutePermission, good: number, own: Own = {}): Recipe {
  return { permission, good, object: 'place', relations: ['own'], rule: always, ...own }
}

/** An object with an owner. */
export function on(
  permission: RoutePermission,
  good: number,
  own: Own & Pick<Recipe, 'object' | 'rule'>,
): Recipe {
  return { permission, good, relations: ['own', 'department', 'foreign', 'absent'], ...own }
}

/** A list that must have what the rule allows and nothing else. */
export function list(
  permission: RoutePermission,
  own: Own & Pick<Recipe, 'object' | 'rule'>,
): Recipe {
  const relations = ['own', 'department', 'foreign'] as const
  return { permission, good: 200, relations, wish: longPage, shows: ({ id }) => `"${id}"`, ...own }
}

const longPage: Recipe['wish'] = () => ({ query: '?limit=100' })

export const newAddress = (): string => `new-${randomBytes(6).toString('hex')}@matrix.example`

const ofDepartment = ['own', 'foreign', 'absent'] as const
const everyPlace = ['own', 'department', 'foreign', 'above', 'top', 'absent'] as const
const ofPerson = (permission: RoutePermission, own: Own = {}, good = 200): Recipe =>
  on(permission, good, { object: 'person', relations: everyPlace, rule: managed, ...own })
const ofGuest = { object: 'guest', relations: ['department', 'foreign', 'absent'] } as const
const picture = (): Wish => ({ body: tinyPng, headers: { 'content-type': 'image/png' } })
const auditWish: Recipe['wish'] = (_, { target }) => ({ query: `?target=${target.id}` })

/** Everything but what is open to everybody and how people join; see `matrix-joining.ts`. */
export const memberRecipes: Readonly<Record<string, Recipe | readonly Recipe[]>> = {
  listSessions: list('sessions.manage', { object: 'session', rule: mine }),
  revokeSession: on('sessions.manage', 204, { object: 'session', rule: mine }),
  revokeOtherSessions: self('sessions.manage', 204, { renews: true }),
  endSession: self('sessions.manage', 204, { renews: true }),
  listApiKeys: list('api_keys.manage', { object: 'apiKey', rule: mine }),
  createApiKey: self('api_keys.manage', 201, {
    wish: () => ({ body: { name: 'new', scopes: ['models.read'] } }),
  }),
  revokeApiKey: on('api_keys.manage', 204, { object: 'apiKey', rule: mine }),
  listNotifications: list('notifications.read', { object: 'notification', rule: mine }),
  readNotification: on('notifications.read', 200, { object: 'notification', rule: mine }),
  readAllNotifications: self('notifications.read', 204, { renews: true }),
  createRealtimeTicket: self('realtime.connect', 201),
  getLimits: self('users.read_self', 200),

  listDepartments: list('departments.read', {
    object: 'department',
    relations: ['own', 'foreign'],
    rule: inDepartment,
    shows: ({ id }) => `"name":"${id}"`,
  }),
  getDepartment: on('departments.read', 200, {
    object: 'department',
    relations: ofDepartment,
    rule: inDepartment,
  }),
  listDepartmentMembers: on('users.read', 200, {
    object: 'department',
    relations: ofDepartment,
    rule: inDepartment,
  }),
  getDepartmentCredits: on('credits.read', 200, {
    object: 'department',
    relations: ofDepartment,
    rule: ofAdmins,
  }),
  createDepartment: self('departments.create', 201, {
    wish: ({ api }) => {
      const name = `${api.surroundings.quality}-${randomBytes(3).toString('hex')}`
      return { body: { name, displayName: 'New', namespace: api.surroundings.namespace } }
    },
  }),
  changeDepartment: [
    on('departments.update', 200, {
      object: 'department',
      relations: ofDepartment,
      rule: inDepartment,
      wish: () => ({ body: { displayName: randomBytes(4).toString('hex') } }),
    }),
    // Only super admins say how much a department counts.
    on('departments.update', 200, {
      object: 'department',
      relations: ofDepartment,
      rule: (place, actor) => {
        const reached = inDepartment(place, actor)
        return reached === 'Good' && actor.role !== 'super_admin' ? 403 : reached
      },
      wish: () => ({ body: { weight: randomBytes(1).readUInt8() + 1 } }),
    }),
  ],

  listModels: list('models.read', {
    object: 'model',
    relations: ['own', 'foreign'],
    rule: ownElse(404),
  }),
  getModel: on('models.read', 200, {
    object: 'model',
    relations: ofDepartment,
    rule: ownElse(404),
  }),
  listSchedulers: self('models.read', 200),

  listJobs: list('jobs.read', { object: 'job', rule: seen }),
  getJob: on('jobs.read', 200, { object: 'job', rule: seen }),
  watchJob: on('jobs.read', 200, { object: 'job', rule: seen }),
  cancelJob: on('jobs.cancel', 202, { object: 'job', fresh: 'openJob', rule: seen }),
  createJob: on('jobs.create', 202, {
    object: 'model',
    relations: ofDepartment,
    rule: ownElse(404),
    wish: ({ api }, { target }) => ({ body: api.jobBody({ model: target.id }) }),
  }),
  createQuote: on('jobs.create', 201, {
    object: 'model',
    relations: ofDepartment,
    rule: ownElse(404),
    wish: ({ api }, { target }) => ({ body: api.jobBody({ model: target.id }) }),
  }),
  simulateJobs: on('jobs.create', 200, {
    object: 'model',
    relations: ofDepartment,
    rule: ownElse(404),
    wish: ({ api }, { target }) => ({ body: { jobs: [api.jobBody({ model: target.id })] } }),
  }),
  uploadPicture: self('artifacts.create', 201, { wish: picture }),
  getArtifact: [
    on('artifacts.read', 200, { object: 'upload', rule: seen }),
    on('artifacts.read', 200, { object: 'output', rule: seen }),
  ],
  deleteArtifact: [
    on('artifacts.delete', 204, { object: 'upload', rule: seen }),
    // Nobody's, and said of every id of this form, so that it tells nothing.
    on('artifacts.delete', 204, {
      object: 'output',
      relations: ['own', 'foreign'],
      rule: () => 409,
    }),
  ],

  listAuditLog: list('audit_log.read', {
    object: 'person',
    relations: ['own', 'department', 'foreign', 'above', 'top'],
    rule: inDepartment,
    wish: auditWish,
  }),
  exportAuditLog: list('audit_log.read', {
    object: 'person',
    rule: inDepartment,
    wish: auditWish,
    shows: ({ id }) => id,
  }),

  listUsers: list('users.read', {
    object: 'person',
    relations: everyPlace.slice(0, 5),
    rule: seen,
  }),
  getUser: ofPerson('users.read', { rule: seen }),
  updateUser: ofPerson('users.update', { wish: () => ({ body: { name: 'New Name' } }) }),
  approveUser: ofPerson('users.approve', ofGuest),
  rejectUser: ofPerson('users.approve', ofGuest),
  disableUser: ofPerson('users.disable', { rule: managedOthers }),
  enableUser: ofPerson('users.disable'),
  deleteUser: ofPerson('users.delete', { rule: managedOthers }, 204),
  setUserRole: ofPerson('users.set_role', {
    rule: managedOthers,
    wish: () => ({ body: { role: 'department_admin' } }),
  }),
  moveUser: ofPerson('users.move', {
    // Oneself is moved elsewhere for good: then nothing of the caller would be theirs.
    relations: ['department', 'foreign', 'above', 'top', 'absent'],
    wish: ({ api }) => ({ body: { department: api.surroundings.research } }),
  }),
  setUserMembership: ofPerson('users.set_membership', {
    wish: () => ({ body: { tier: 'Premium', expiresTime: null } }),
  }),

  getSettings: self('settings.read', 200),
  changeSettings: self('settings.update', 200, {
    wish: async ({ api }) => {
      const { revision } = await api.core.people.settingsStore.read()
      return { body: { revision, values: { guestDays: 3 + (revision % 5) } } }
    },
  }),
  getAudit: self('system.audit', 200),
}

/** One black pixel: the smallest picture that is one. */
const tinyPng = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
  'base64',
)
