import type { MailContent } from '../../mail/mailer.ts'
import type { Notifier } from '../notifications/contract.ts'
import type { Errand } from '../users/errand.ts'
import type { UserRow, UserStore } from '../users/store.ts'

/** Of each kind; whoever else may decide sees the guest in the list of people. */
const toldMax = 10

export type DeciderParts = {
  readonly users: Pick<UserStore, 'page'>
  readonly notifier: Notifier
  readonly newId: () => string
}

/** Who decides about guests of a department: its admins and the super admins. */
export async function findDeciders(
  { users }: Pick<DeciderParts, 'users'>,
  department: string,
): Promise<readonly UserRow[]> {
  const common = { rows: { kind: 'All' }, state: 'Active', limit: toldMax } as const
  const [ofDepartment, ofSite] = await Promise.all([
    users.page({ ...common, role: 'department_admin', department }),
    users.page({ ...common, role: 'super_admin' }),
  ])
  return [...ofDepartment, ...ofSite]
}

type Guest = Pick<UserRow, 'name' | 'department'>

/** Mails to those who decide, to be stored together with the guest. */
export function mailsToDeciders(
  deciders: readonly UserRow[],
  { name, department }: Guest,
  factId: string,
): readonly Errand[] {
  const content: MailContent = { template: 'GuestWaits', name, department }
  return deciders.map(({ _id, email, language }) => {
    const id = `guest-waits:${factId}:${_id}`
    return { _id: id, kind: 'SendMail', mail: { id, to: email, language, content } }
  })
}

/** Shows the guest in the open consoles of those who decide. */
export async function notifyDeciders(
  { notifier, newId }: Pick<DeciderParts, 'notifier' | 'newId'>,
  deciders: readonly UserRow[],
  { _id: userId, name, department }: UserRow,
): Promise<void> {
  const id = newId()
  const fact = { kind: 'GuestWaits', values: { userId, name, department } } as const
  for (const { _id } of deciders) await notifier.notify({ id, userId: _id, fact })
}
