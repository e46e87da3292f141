import { isLapsed, sumOf, usableLots } from '../../shared/domain/account.ts'
import { accountOwnerOf } from '../../shared/domain/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { hasLeft, returnCredits } from '../features/accounts/leave.ts'
import type { AccountService } from '../features/accounts/service.ts'
import type { AccountDocument, AccountStore } from '../features/accounts/store.ts'
import { isTerminal, type JobRow } from '../features/jobs/row.ts'
import type { JobStore } from '../features/jobs/store.ts'
import type { UserStore } from '../features/users/store.ts'
import { serveItem, type ItemLog } from '../serve-item.ts'
import { missingForMs } from './missing.ts'
import { pagesById } from './pages.ts'

export type CompareAccountsDeps = {
  readonly accountStore: AccountStore
  readonly accounts: AccountService
  readonly store: Pick<JobStore, 'getMany'>
  readonly people: { readonly users: Pick<UserStore, 'find' | 'findMany'> }
  readonly clock: Clock
  readonly log: ItemLog
}

/** Of one page of accounts: so many holds are looked at in a pass, the rest in the next one. */
const suspectsMax = 1000

/**
 * Every account: books lapsed lots off, ends holds without a living job, and gives the free credits
 * of who has left back to the department. An account that has nothing to do costs no query of its
 * own. `openJobIds`: jobs whose rows had not ended a moment ago.
 */
export async function compareAccounts(
  deps: CompareAccountsDeps,
  openJobIds: ReadonlySet<string>,
): Promise<void> {
  for await (const accounts of pagesById(
    async ({ afterId, limit }) => await deps.accountStore.page(afterId, limit),
  )) {
    await comparePage(deps, accounts, openJobIds)
  }
}

async function comparePage(
  deps: CompareAccountsDeps,
  accounts: readonly AccountDocument[],
  openJobIds: ReadonlySet<string>,
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const suspects = accounts.flatMap(({ holds }) =>
    holds.filter(
      (hold) => !openJobIds.has(hold.jobId) && nowMs - hold.createTimeMs >= missingForMs,
    ),
  )
  const jobIds = suspects.slice(0, suspectsMax).map(({ jobId }) => jobId)
  const rows = new Map((await deps.store.getMany(jobIds)).map((row) => [row._id, row]))
  const endings = new Map(jobIds.flatMap((id) => endingOf(id, rows.get(id))))
  const left = await findLeft(deps, accounts)
  for (const account of accounts) {
    const item = { id: account._id, log: deps.log }
    const isLeft = left.has(account._id)
    await serveItem(item, async () => await compareAccount(deps, account, { endings, isLeft }))
  }
}

type HoldEnding = readonly [jobId: string, ending: 'expire' | 'void']

/**
 * A hold comes after its row: without one the job never came to be. None ends by its age alone, so
 * a clock that jumps ends nothing.
 */
function endingOf(jobId: string, row: JobRow | undefined): readonly HoldEnding[] {
  if (row === undefined) return [[jobId, 'expire']]
  return isTerminal(row.state) ? [[jobId, 'void']] : []
}

/** Ids of accounts with something to give back. */
async function findLeft(
  { people, clock }: CompareAccountsDeps,
  accounts: readonly AccountDocument[],
): Promise<ReadonlySet<string>> {
  const nowMs = clock.nowMs()
  const owned = accounts.flatMap((account) => {
    const { department, user } = accountOwnerOf(account._id) ?? {}
    const isEmpty = sumOf(usableLots(account, nowMs)) === 0
    return isEmpty || department === undefined || user === undefined
      ? []
      : [{ accountId: account._id, department, user }]
  })
  const found = await people.users.findMany([...new Set(owned.map(({ user }) => user))])
  const byId = new Map(found.map((person) => [person._id, person]))
  const left = owned.filter(({ department, user }) => hasLeft(byId.get(user) ?? null, department))
  return new Set(left.map(({ accountId }) => accountId))
}

type Verdict = {
  readonly endings: ReadonlyMap<string, 'expire' | 'void'>
  readonly isLeft: boolean
}

async function compareAccount(
  { accounts, people, clock }: CompareAccountsDeps,
  account: AccountDocument,
  { endings, isLeft }: Verdict,
): Promise<void> {
  const nowMs = clock.nowMs()
  if (account.lots.some((lot) => isLapsed(lot, nowMs))) await accounts.lapse(account._id)
  for (const { jobId } of account.holds) {
    const ending = endings.get(jobId)
    if (ending !== undefined) await accounts[ending](account._id, jobId)
  }
  if (!isLeft) return
  // The state of the account in the id: what comes back later is another transfer.
  const transferId = `leave:${account._id}:${account.seq}`
  await returnCredits({ accounts, ...people }, { transferId, accountId: account._id })
}
