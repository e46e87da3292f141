import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { otherCanaryPassword } from '../../support/canary.ts'
import type { Call, TestApi } from './harness.ts'

/** A password that nobody refuses. */
export const goodPassword = otherCanaryPassword

export const newAddress = (): string => `p-${randomBytes(6).toString('hex')}@new.example`

/** Another network for each request, for tests that are not about that limit. */
export const fromAnywhere = (): Readonly<Record<string, string>> => ({
  'x-forwarded-for': [...randomBytes(4)].map((byte) => (byte % 223) + 1).join('.'),
})

export type Post = (
  url: string,
  body: unknown,
  options?: Partial<Call>,
) => ReturnType<TestApi['call']>

export function poster(api: () => TestApi): Post {
  return async (url, body, options = {}) =>
    await api().call({ method: 'POST', url, body, headers: fromAnywhere(), ...options })
}

/** Answers without what differs from request to request. */
export function shapeOf(response: Awaited<ReturnType<Post>>) {
  const { 'x-request-id': _id, date: _date, ...headers } = response.headers
  const rest = Object.fromEntries(
    Object.entries(headers).filter(([name]) => !name.includes('ratelimit')),
  )
  const body = response.body === '' ? null : { ...response.json(), instance: '' }
  return { status: response.statusCode, headers: rest, body }
}

export const refusedCode = { status: 422, code: 'code.invalid' }

/** How many documents every collection has. */
export async function countDocuments(api: TestApi): Promise<Readonly<Record<string, number>>> {
  const { native } = api.core.database
  const names = ['codes', 'codeSends', 'mails', 'users', 'identities', 'invites', 'auditLog']
  const counts = await Promise.all(
    names.map(async (name) => [name, await native.collection(name).countDocuments()] as const),
  )
  return Object.fromEntries(counts)
}

export function growth(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]),
  )
}

export async function runTask(api: TestApi, name: string): Promise<void> {
  const task = api.api.leaderTasks.find((one) => one.name === name)
  if (task === undefined) throw new Error(`there is no task ${name}`)
  await task.run()
}

/** The code of the newest mail to an address. */
export async function codeFor(api: TestApi, address: string): Promise<string> {
  const { code } = await api.mailTo(address)
  expect(code).toMatch(/^[0-9]{6}$/)
  return code ?? ''
}

/** Another code than this one. */
export function wrongCode(code: string): string {
  return code === '123456' ? '654321' : '123456'
}
