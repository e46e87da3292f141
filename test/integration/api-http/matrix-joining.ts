import { canaryPassword, otherCanaryPassword } from '../../support/canary.ts'
import { canManage } from '../../../src/shared/domain/permissions.ts'
import { list, newAddress, on, type Recipe, self } from './matrix-recipes.ts'
import { invited, invitedRole, ownElse, type Rule } from './matrix-rules.ts'

/** Half of the cells prove who they are; the other half uses another person's proof. */
const proven = ['own', 'foreign'] as const
const somewhere = ['own', 'department', 'foreign', 'above', 'top'] as const
const newPassword = otherCanaryPassword
const profile = { name: 'Nari New', language: 'en' } as const

const ofActive: Rule = ({ relation, isActive }) => (relation === 'own' && isActive ? 'Good' : 401)

/** What is open to everybody, one's own account, and invitations. */
export const joiningRecipes: Readonly<Record<string, Recipe | readonly Recipe[]>> = {
  listInvites: list('users.invite', { object: 'invite', rule: invitedVisible() }),
  revokeInvite: on('users.invite', 204, {
    object: 'invite',
    relations: [...somewhere, 'absent'],
    rule: invited,
  }),
  createInvite: on('users.invite', 201, {
    object: 'place',
    relations: somewhere,
    rule: invited,
    wish: (_, { target }) => ({
      body: {
        email: newAddress(),
        department: target.department,
        role: invitedRole(target),
        language: 'en',
      },
    }),
  }),
  importInvites: list('users.invite', {
    object: 'place',
    relations: somewhere,
    // A file is taken with what is wrong in it: the rows that may not be are refused.
    rule: (place, actor) => (invited(place, actor) === 'Good' ? 'Good' : 404),
    wish: (_, { target }) => {
      const row = [newAddress(), 'New', target.department, invitedRole(target)].join(',')
      return {
        query: '?language=en',
        headers: { 'content-type': 'text/csv' },
        body: `email,name,department,role\n${row}\n`,
      }
    },
    shows: () => '"created":1',
  }),

  getProfile: self('users.read_self', 200),
  updateProfile: self('users.update_self', 200, {
    renews: true,
    wish: () => ({ body: { name: 'New Name' } }),
  }),
  changePassword: self('users.update_self', 204, {
    renews: true,
    wish: () => ({ body: { currentPassword: canaryPassword, newPassword } }),
  }),
  sendEmailChangeCode: self('users.update_self', 202, {
    wish: () => ({ body: { email: newAddress(), password: canaryPassword } }),
  }),
  changeEmail: self('users.update_self', 200, {
    renews: true,
    relations: proven,
    rule: ownElse(422),
    wish: async ({ codes }, { target: { user: userId } }) => {
      const email = newAddress()
      return { body: { email, code: await codes.issue({ purpose: 'EmailChange', email, userId }) } }
    },
  }),

  getKeySet: self('Public', 200),
  listIssuers: self('Public', 200),
  listOpenDepartments: self('Public', 200),
  getObject: self('Public', 200, {
    object: 'link',
    relations: proven,
    rule: ownElse(403),
    wish: (_, { target }) => ({ query: target.secret ?? '' }),
  }),
  createSession: self('Public', 201, {
    relations: proven,
    rule: ofActive,
    wish: (_, { caller, target }) => ({
      body: {
        email: caller.person.email,
        password: target.relation === 'own' ? canaryPassword : newPassword,
      },
    }),
  }),
  refreshSession: self('Public', 201, {
    object: 'session',
    relations: proven,
    rule: ofActive,
    wish: (_, { target: { relation, secret = '' } }) => ({
      body: { refreshToken: relation === 'own' ? secret : tampered(secret) },
    }),
  }),
  createSsoSession: self('Public', 201, {
    relations: proven,
    rule: ownElse(401),
    wish: async ({ issuer }, { target: { relation, department } }) => {
      const email = newAddress()
      const claims = { email, email_verified: true, sub: email }
      const another = relation === 'own' ? {} : { aud: 'another-console' }
      const idToken = await issuer.token({ ...claims, ...another })
      return { body: { issuer: 'company', idToken, department } }
    },
  }),
  sendSignUpCode: self('Public', 202, {
    relations: proven,
    // The same for an address that somebody has.
    wish: async ({ cast }, { target: { relation, department } }) => {
      if (relation === 'own') return { body: { email: newAddress(), language: 'en' } }
      const { email } = await cast.createPerson('department_member', department)
      return { body: { email, language: 'en' } }
    },
  }),
  signUp: self('Public', 201, {
    relations: proven,
    rule: ownElse(422),
    wish: async ({ codes }, { target: { relation, department } }) => {
      const email = newAddress()
      const mailed = relation === 'own' ? email : newAddress()
      const code = await codes.issue({ purpose: 'SignUp', email: mailed })
      return { body: { email, code, password: newPassword, department, ...profile } }
    },
  }),
  sendPasswordResetCode: self('Public', 202, {
    relations: proven,
    wish: async ({ cast }, { target: { relation, department } }) => {
      if (relation === 'own') return { body: { email: newAddress() } }
      const { email } = await cast.createPerson('department_member', department)
      return { body: { email } }
    },
  }),
  resetPassword: self('Public', 204, {
    relations: proven,
    rule: ownElse(422),
    wish: async ({ codes, cast }, { target: { relation, department } }) => {
      const { email } = await cast.createPerson('department_member', department)
      const mailed = relation === 'own' ? email : newAddress()
      const code = await codes.issue({ purpose: 'PasswordReset', email: mailed })
      return { body: { email, code, password: newPassword } }
    },
  }),
  acceptInvite: self('Public', 201, {
    object: 'invite',
    relations: proven,
    rule: invitedStill(),
    wish: (_, { target: { relation, secret = '' } }) => ({
      body: {
        token: relation === 'own' ? secret : tampered(secret),
        password: newPassword,
        ...profile,
      },
    }),
  }),
}

/** Invitations of one's department, also those that one could not have sent. */
function invitedVisible(): Rule {
  return (place, actor) =>
    canManage(actor, { department: place.department, role: 'department_member' }) ? 'Good' : 404
}

/** Whoever calls has sent the invitation: it is good while they could still do so. */
function invitedStill(): Rule {
  return (place) => {
    const { relation, user: userId, role, department, isActive } = place
    const invite = { role: invitedRole(place), department }
    const isBacked = isActive && canManage({ userId, role, department }, invite)
    return relation === 'own' && isBacked ? 'Good' : 422
  }
}

/** The same id with another secret of the same form. */
function tampered(secret: string): string {
  const end = secret.at(-3) === 'A' ? 'B' : 'A'
  return `${secret.slice(0, -3)}${end}${secret.slice(-2)}`
}
