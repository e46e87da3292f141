import type { ApiCore } from '../../../src/api/composition.ts'
import { emailIdentity } from '../../../src/api/features/users/identities.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { canaryPassword } from '../../support/canary.ts'
import { hashCheaply } from '../../support/cheap-hash.ts'
import type { Surroundings } from './surroundings.ts'

/** Who is there. `mina` and `noor` are colleagues; `sam` works elsewhere. */
const cast = {
  root: { role: 'super_admin', department: 'quality' },
  lead: { role: 'department_admin', department: 'quality' },
  mina: { role: 'department_member', department: 'quality' },
  noor: { role: 'department_member', department: 'quality' },
  sam: { role: 'department_member', department: 'research' },
  poor: { role: 'department_member', department: 'research' },
  gast: { role: 'guest', department: 'quality' },
} as const
export type Person = keyof typeof cast
const everybody: readonly Person[] = ['root', 'lead', 'mina', 'noor', 'sam', 'poor', 'gast']
export const roleOf = (person: Person) => cast[person].role

const passwordHash = hashCheaply(canaryPassword)

type Settlers = {
  readonly surroundings: Surroundings
  readonly emailOf: (person: Person) => string
}

const credits = 100_000_000_000

/** Departments, people and their credits, as the demo data of an installation would make them. */
export async function settle(core: ApiCore, { surroundings, emailOf }: Settlers): Promise<void> {
  for (const name of [surroundings.quality, surroundings.research]) {
    await core.people.departments.ensure({ name, displayName: `Department ${name}` })
  }
  const settleOne = async (person: Person): Promise<void> => {
    const { role } = cast[person]
    const department = surroundings[cast[person].department]
    const email = emailOf(person)
    const name = person === 'mina' ? 'Mina Moon' : person
    const identity = { _id: emailIdentity(email), kind: 'Email' } as const
    const row = await core.people.directory.create(
      { email, name, role, department, language: 'en', passwordHash },
      { identity, by: 'test', action: 'user.created' },
    )
    if (row === null) throw new Error(`the address of ${person} was taken`)
    if (person === 'poor') return
    const accountId = accountIdOf({ department, user: row._id })
    const issueId = `test:${accountId}`
    await core.accounts.issue({ accountId, issueId, microCredits: credits, expiresMs: null })
  }
  await Promise.all(everybody.map(settleOne))
}
