import type { Origin } from '../../../shared/domain/caller.ts'
import type { UserDirectory } from './directory.ts'
import type { Errand } from './errand.ts'
import type { Errands } from './errands.ts'
import { emailIdentity } from './identities.ts'
import type { NewUser, UserRow, UserStore } from './store.ts'

/** Of each kind; whoever else may decide sees the guest in the list of people. */
const toldMax = 10

export type NewGuestParts = {
  readonly directory: Pick<UserDirectory, 'create'>
  readonly users: Pick<UserStore, 'page'>
  readonly errands: Pick<Errands, 'finish'>
  readonly newId: () => string
}

type GuestDraft = Pick<NewUser, 'email' | 'name' | 'language' | 'department' | 'passwordHash'>

/**
 * Makes a guest whose address is proven and tells those who decide. Null when the address is
 * another person's. A crash before the row leaves an address that the next proof of it finishes;
 * one after it errands, which the sweep does.
 */
export async function makeGuest(
  parts: NewGuestParts,
  draft: GuestDraft,
  origin: Origin,
): Promise<UserRow | null> {
  const { directory, errands, newId } = parts
  const deciders = await findDeciders(parts, draft.department)
  const factId = newId()
  const guest = await directory.create(
    { ...draft, role: 'guest' },
    {
      identity: { _id: emailIdentity(draft.email), kind: 'Email' },
      origin,
      action: 'user.signed_up',
      errandsOf: (userId) => {
        const { name, department } = draft
        const values = { userId, name, department }
        return deciders.flatMap((decider) => tell(decider, values, factId))
      },
    },
  )
  if (guest !== null) await errands.finish(guest, 'sign-up')
  return guest
}

/** Who decides about guests of a department: its admins and the super admins. */
async function findDeciders(
  { users }: Pick<NewGuestParts, 'users'>,
  department: string,
): Promise<readonly UserRow[]> {
  const common = { rows: { kind: 'All' }, state: 'Active', limit: toldMax } as const
  const [ofDepartment, ofSite] = await Promise.all([
    users.page({ ...common, role: 'department_admin', department }),
    users.page({ ...common, role: 'super_admin' }),
  ])
  return [...ofDepartment, ...ofSite]
}

type WaitingGuest = { readonly userId: string; readonly name: string; readonly department: string }

/** By mail, and in the open consoles. */
function tell(decider: UserRow, values: WaitingGuest, factId: string): readonly Errand[] {
  const { _id: userId, email: to, language } = decider
  const { name, department } = values
  const id = `guest-waits:${factId}:${userId}`
  const content = { template: 'GuestWaits', name, department } as const
  const notice = { id: factId, userId, fact: { kind: 'GuestWaits', values } } as const
  return [
    { _id: id, kind: 'SendMail', mail: { id, to, language, content } },
    { _id: `${id}:notice`, kind: 'Notify', notice },
  ]
}
