import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { z } from 'zod'
import { emailIdentity } from '../../../src/api/features/users/identities.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { creditRequestPage, creditRequestView } from '../../../src/shared/wire/credit-requests.ts'
import {
  accountView,
  accountsPage,
  entriesPage,
  type EntryView,
} from '../../../src/shared/wire/ledger.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

export type CreditScene = Awaited<ReturnType<typeof openCreditScene>>

const people = ['root', 'lead', 'mina', 'noor', 'sam', 'poor', 'gast'] as const
const meShape = z.looseObject({ id: z.string(), department: z.string() })
export const newKey = (): string => randomBytes(8).toString('hex')

/** A body, and the key of the request beside it; a new one when there is none. */
export type Wish = { readonly key?: string; readonly [field: string]: unknown }

/** An api whose people are known by id, and short ways to what it does with credits. */
export async function openCreditScene() {
  const api = await startApi()
  const { quality, research } = api.surroundings
  const known = await Promise.all(
    people.map(async (as) => {
      const { id } = meShape.parse((await api.call({ url: '/v1/users/me', as })).json())
      return [as, id] as const
    }),
  )
  const ids = new Map<Person, string>(known)
  const idOf = (person: Person): string => {
    const id = ids.get(person)
    if (id === undefined) throw new Error(`${person} has no id`)
    return id
  }
  const post = async (as: Person, path: string, { key = newKey(), ...body }: Wish) =>
    await api.call({
      method: 'POST',
      url: `/v1/credits/${path}`,
      as,
      body,
      headers: { 'idempotency-key': key },
    })
  const get = async (as: Person, path: string, query: Record<string, string> = {}) =>
    await api.call({ url: `/v1/credits/${path}?${new URLSearchParams(query).toString()}`, as })
  const fund = async (credits: string, department = quality, expiresTime: string | null = null) => {
    const response = await post('root', 'issues', { department, credits, expiresTime })
    expect(response.statusCode).toBe(201)
  }
  return {
    api,
    quality,
    research,
    idOf,
    post,
    get,
    fund,
    account: async (as: Person, query: Record<string, string> = {}) =>
      accountView.parse((await get(as, 'account', query)).json()),
    accounts: async (as: Person, query: Record<string, string> = {}) =>
      accountsPage.parse((await get(as, 'accounts', query)).json()),
    entries: async (as: Person, query: Record<string, string> = {}) =>
      entriesPage.parse((await get(as, 'entries', query)).json()),
    requests: async (as: Person, query: Record<string, string> = {}) =>
      creditRequestPage.parse((await get(as, 'requests', query)).json()),
    ask: async (as: Person, body: Wish = {}) => {
      const response = await post(as, 'requests', { credits: '2', reason: 'for a fair', ...body })
      expect(response.statusCode).toBe(201)
      return creditRequestView.parse(response.json())
    },
    decide: async (as: Person, path: string, body?: object) =>
      await api.call({ method: 'POST', url: `/v1/credits/requests/${path}`, as, body }),
    /** A new member. */
    hire: async (department = quality): Promise<string> => await hire(api, department),
    /** Kinds of what a person was told, newest first. */
    toldTo: async (userId: string) =>
      (await api.core.people.notifications.page({ userId, unreadOnly: false, limit: 100 })).map(
        ({ kind, values }) => ({ kind, ...values }),
      ),
    /** Takes all free credits of a department away, so that amounts are exact. */
    empty: async (department = quality) => {
      const { accounts } = api.core
      const transferId = `empty:${newKey()}`
      const microCreditsMax = Number.MAX_SAFE_INTEGER
      await accounts.recall({
        transferId,
        accountId: accountIdOf({ department }),
        to: null,
        microCreditsMax,
      })
    },
    close: api.close,
  }
}

async function hire({ core }: TestApi, department: string): Promise<string> {
  const email = `new-${newKey()}@credits.example`
  const draft = { email, name: '=Hired()', language: 'en', role: 'department_member' } as const
  const row = await core.people.directory.create(
    { ...draft, department, passwordHash: null },
    { identity: { _id: emailIdentity(email), kind: 'Email' }, by: 'test', action: 'user.created' },
  )
  if (row === null) throw new Error('the address was taken')
  return row._id
}

export function sumCredits(entries: readonly EntryView[]): number {
  return entries.reduce((total, { credits }) => total + Math.round(Number(credits) * 1e6), 0)
}
