import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { labelName } from '../shared/crd/common.ts'
import { accountIdOf } from '../shared/domain/caller.ts'
import { roles } from '../shared/domain/permissions.ts'
import { parseCredits } from '../shared/domain/price.ts'
import { AppError } from '../shared/errors.ts'
import type { AccountService } from './features/accounts/service.ts'
import type { DepartmentStore } from './features/departments/store.ts'
import type { UserDirectory } from './features/users/directory.ts'
import type { Passwords } from './features/sessions/passwords.ts'
import { emailIdentity } from './features/users/identities.ts'

const fileShape = z.strictObject({
  departments: z.array(
    z.strictObject({ name: labelName, displayName: z.string().min(1).max(128) }),
  ),
  users: z.array(
    z.strictObject({
      email: z.email().max(254),
      password: z.string().min(8).max(128),
      name: z.string().min(1).max(128),
      role: z.enum(roles),
      department: labelName,
    }),
  ),
  credits: z.array(
    z.strictObject({
      /** `user` is the address of one of the users; without it the department's account is meant. */
      account: z.strictObject({ department: labelName, user: z.email().optional() }),
      credits: z.string().regex(/^[0-9]{1,6}(\.[0-9]{1,6})?$/),
    }),
  ),
})
type DemoAccounts = z.infer<typeof fileShape>

export type DemoParts = {
  readonly departments: DepartmentStore
  readonly accounts: Pick<AccountService, 'issue'>
  readonly passwords: Passwords
  readonly directory: UserDirectory
}

/** Loads the demo data; doing it again changes nothing but what the file changed. */
export async function loadDemoAccounts(path: string, parts: DemoParts): Promise<void> {
  const { departments, users, credits } = await readDemoAccounts(path)
  for (const department of departments) await parts.departments.ensure(department)
  for (const user of users) await putUser(user, parts)
  for (const credit of credits) await issueCredits(credit, parts)
}

async function readDemoAccounts(path: string): Promise<DemoAccounts> {
  const content = await readFile(path, 'utf8')
    .then((json): unknown => JSON.parse(json))
    // Without the cause: a JSON error quotes the file, and the file holds passwords.
    .catch(() => undefined)
  const result = fileShape.safeParse(content)
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`)
  const message = `ATELIER_DEMO_ACCOUNTS_FILE is not readable: ${faults.slice(0, 3).join('; ')}`
  throw new AppError('platform.misconfigured', message)
}

/**
 * Keeps the stored hash while it fits the password, so that a second start writes nothing new.
 * Whatever else admins changed stays; whoever they removed stays away.
 */
async function putUser(
  { password, ...facts }: DemoAccounts['users'][number],
  { directory, passwords }: DemoParts,
): Promise<void> {
  const { email, department } = facts
  const userId = demoUserIdOf(email)
  const known = await directory.find(userId)
  if (known?.state === 'Deleted') return
  if (known !== null && (await passwords.verify(password, known.passwordHash))) return
  const passwordHash = await passwords.hash(password)
  if (known === null) {
    const draft = { ...facts, passwordHash, language: 'en' } as const
    const identity = { _id: emailIdentity(email), kind: 'Email' } as const
    await directory.create(draft, { identity, by, action: 'user.created', userId })
    return
  }
  const target = { kind: 'User', id: userId, department }
  const audited = { action: 'user.password_changed', target } as const
  await directory.change(userId, { set: { passwordHash }, by, facts: audited })
}

const by = 'demo-accounts'

/** An id that follows from the address, so that a restart finds the person again. */
function demoUserIdOf(email: string): string {
  const digest = createHash('sha256').update(email.toLowerCase()).digest('hex')
  return `u-${digest.slice(0, 24)}`
}

/** The id names the account, so that a restart issues nothing twice. */
async function issueCredits(
  { account, credits }: DemoAccounts['credits'][number],
  { accounts }: DemoParts,
): Promise<void> {
  const { department, user: email } = account
  const user = email === undefined ? undefined : demoUserIdOf(email)
  const accountId = accountIdOf({ department, user })
  const microCredits = parseCredits(credits)
  await accounts.issue({ accountId, issueId: `demo:${accountId}`, microCredits, expiresMs: null })
}
