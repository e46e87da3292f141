import { randomBytes } from 'node:crypto'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import type { TestApi } from './harness.ts'
import { list, on, type Order, type Recipe, self, type Wish } from './matrix-recipes.ts'
import { always, inDepartment, type Rule, seen } from './matrix-rules.ts'

const microCredits = 1_000_000_000

/** So that both have something to distribute and to take back. */
export async function fundDepartments({ core, surroundings }: TestApi): Promise<void> {
  for (const department of [surroundings.quality, surroundings.research]) {
    await fund(core, accountIdOf({ department }))
  }
}

async function fund({ accounts }: TestApi['core'], accountId: string): Promise<void> {
  const issueId = `matrix:${randomBytes(8).toString('hex')}`
  await accounts.issue({ accountId, issueId, microCredits, expiresMs: null })
}

const keyed = (body: object): Wish => ({
  body,
  headers: { 'idempotency-key': randomBytes(8).toString('hex') },
})
const ofAccount = (_: unknown, { target }: Order): Wish => ({
  query: `?department=${target.department}&user=${target.id}`,
})
/** Department admins within theirs, super admins everywhere: for what members may not at all. */
const givers: Rule = (place, actor) => inDepartment(place, actor)
const notTheirOwn: Rule = (place, actor) => {
  const isOwn = place.user === actor.userId && actor.role !== 'super_admin'
  return isOwn ? 403 : seen(place, actor)
}
const asker: Rule = (place, actor) => {
  const verdict = seen(place, actor)
  return verdict === 'Good' && place.user !== actor.userId ? 403 : verdict
}

/** Movements, views and requests of credits. */
export const creditRecipes: Readonly<Record<string, Recipe | readonly Recipe[]>> = {
  issueCredits: on('credits.issue', 201, {
    object: 'person',
    rule: always,
    wish: (_, { target }) =>
      keyed({ department: target.department, user: target.id, credits: '1', expiresTime: null }),
  }),
  distributeCredits: on('credits.distribute', 201, {
    object: 'person',
    relations: ['own', 'department', 'foreign'],
    rule: givers,
    wish: (_, { target: { department, id: user } }) =>
      keyed({ department, members: [{ user, credits: '0.000001' }] }),
  }),
  revokeCredits: [
    on('credits.revoke', 201, {
      object: 'person',
      rule: givers,
      wish: async ({ api }, { target: { department, relation, id: user } }) => {
        if (relation !== 'absent') await fund(api.core, accountIdOf({ department, user }))
        return keyed({ department, user, credits: '0.000001' })
      },
    }),
    // Only super admins take from a department itself.
    on('credits.revoke', 201, {
      object: 'department',
      relations: ['own', 'foreign', 'absent'],
      rule: (place, actor) => {
        const reached = inDepartment(place, actor)
        return reached === 'Good' && actor.role !== 'super_admin' ? 403 : reached
      },
      wish: (_, { target: { id: department } }) => keyed({ department, credits: '0.000001' }),
    }),
  ],
  adjustCredits: on('credits.adjust', 201, {
    object: 'person',
    rule: always,
    wish: async ({ api }, { target: { department, relation, id: user } }) => {
      const jobId = api.core.people.newId()
      const accountId = accountIdOf({ department, user })
      if (relation !== 'absent') {
        await fund(api.core, accountId)
        await api.core.accounts.hold(accountId, jobId, 2)
        await api.core.accounts.settle(accountId, jobId, 2)
      }
      return keyed({ entry: `${jobId}:settle`, credits: '0.000001', reason: 'matrix' })
    },
  }),

  getCreditAccount: [
    on('credits.read', 200, { object: 'person', rule: seen, wish: ofAccount }),
    on('credits.read', 200, {
      object: 'department',
      relations: ['own', 'foreign', 'absent'],
      rule: ({ department }, actor) => seen({ ...nobody, department }, actor),
      wish: (_, { target }) => ({ query: `?department=${target.id}` }),
    }),
  ],
  listCreditAccounts: [
    list('credits.read', {
      object: 'person',
      relations: ['own', 'department'],
      rule: seen,
      shows: ({ id }) => `"user":"${id}"`,
    }),
    on('credits.read', 200, {
      object: 'department',
      relations: ['own', 'foreign', 'absent'],
      rule: inDepartment,
      wish: (_, { target }) => ({ query: `?department=${target.id}` }),
    }),
  ],
  listCreditEntries: on('credits.read', 200, { object: 'person', rule: seen, wish: ofAccount }),
  exportCreditEntries: on('credits.read', 200, { object: 'person', rule: seen, wish: ofAccount }),

  requestCredits: self('credits.request', 201, {
    wish: () => keyed({ credits: '1', reason: 'matrix' }),
  }),
  listCreditRequests: list('credits.read', { object: 'creditRequest', rule: seen }),
  approveCreditRequest: on('credits.distribute', 200, {
    object: 'creditRequest',
    rule: notTheirOwn,
    wish: () => ({ body: {} }),
  }),
  declineCreditRequest: on('credits.distribute', 200, {
    object: 'creditRequest',
    rule: seen,
    wish: () => ({ body: { reason: 'matrix' } }),
  }),
  withdrawCreditRequest: on('credits.request', 200, { object: 'creditRequest', rule: asker }),
}

/** A department's own account belongs to no person. */
const nobody = { relation: 'own', user: '', role: 'guest', isActive: true } as const
