import { unreachable } from '../../../shared/assert.ts'
import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { AppError } from '../../../shared/errors.ts'
import { auditedValues, type Decision, type Follow, leavesSuperAdmins } from './decisions.ts'
import type { Departures } from './departures.ts'
import type { UserDirectory } from './directory.ts'
import type { Errand } from './errand.ts'
import type { Errands } from './errands.ts'
import type { UserRow } from './store.ts'

export type Decide = (row: UserRow) => Decision | null

/** How every change of a person is made: by whom it may be is said by the caller's `decide`. */
export type PersonChanges = {
  /**
   * Decides on the person as they are and writes the change only if nobody else changed them
   * meanwhile; else decides again. Repeating it finishes what a crash left.
   * Errors: `user.not_found`, `user.last_super_admin`, `user.state`, and those of `decide`.
   */
  readonly apply: (userId: string, by: Caller | string, decide: Decide) => Promise<UserRow>
}

export type PersonChangeParts = {
  readonly directory: Pick<UserDirectory, 'find' | 'change'>
  readonly departures: Departures
  readonly errands: Pick<Errands, 'finish'>
  readonly newId: () => string
}

const attemptsMax = 5

export function createPersonChanges(parts: PersonChangeParts): PersonChanges {
  const { directory, errands } = parts
  return {
    apply: async (userId, by, decide) => {
      for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
        const row = await directory.find(userId)
        if (row === null) throw personNotFound()
        const decision = decide(row)
        // First, so that no old errand acts on the new state.
        await errands.finish(row, by)
        if (decision === null) return row
        const changed = await write(parts, row, { by, decision })
        if (changed === null) continue
        await errands.finish(changed, by)
        return changed
      }
      throw new AppError('user.state', 'others change this person at the same moment: try again')
    },
  }
}

export function personNotFound(): AppError {
  return new AppError('user.not_found', 'there is no person with this id that you can see')
}

type Wish = { readonly by: Caller | string; readonly decision: Decision }

/** Null when somebody else was faster. A crash in between leaves a departure that gets stale. */
async function write(
  { directory, departures, newId }: PersonChangeParts,
  row: UserRow,
  { by, decision }: Wish,
): Promise<UserRow | null> {
  const { action, set } = decision
  const leaves = leavesSuperAdmins(row, set)
  if (leaves) await departures.begin(row)
  const target = { kind: 'User', id: row._id, department: row.department }
  const changed = await directory.change(row._id, {
    guard: { revision: row.revision },
    set,
    by,
    facts: { action, target, ...(decision.audited ?? auditedValues(row, set)) },
    errands: errandsOf(row, decision, newId()),
  })
  if (leaves) await departures.end(row)
  return changed
}

/** Their ids follow from the revision, so that a mail about one change is sent once. */
function errandsOf(row: UserRow, { action, follows }: Decision, factId: string): readonly Errand[] {
  const id = `${action}:${row._id}:${row.revision + 1}`
  return follows.map((follow, index) => errandOf(row, follow, { id, index, factId }))
}

type ErrandName = { readonly id: string; readonly index: number; readonly factId: string }

function errandOf(row: UserRow, follow: Follow, { id, index, factId }: ErrandName): Errand {
  const _id = `${id}:${index}`
  const { _id: user, email: to, language, department } = row
  switch (follow.kind) {
    case 'Tell':
      return { _id, kind: 'SendMail', mail: { id, to, language, content: follow.content } }
    case 'Notify': {
      const notice = { id: factId, userId: user, fact: follow.fact }
      return { _id, kind: 'Notify', notice }
    }
    case 'ReturnCredits':
      return { _id, kind: 'ReturnCredits', accountId: accountIdOf({ department, user }) }
    case 'EndSessions':
    case 'ReleaseIdentities':
    case 'ReleaseIdentity':
      return { _id, ...follow }
    default:
      return unreachable(follow)
  }
}
