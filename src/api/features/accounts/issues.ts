import { createHash } from 'node:crypto'
import type { Clock } from '../../../shared/clock.ts'
import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { newJobId } from '../../../shared/domain/job-id.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits, parseCredits } from '../../../shared/domain/price.ts'
import { AppError, invalidRequest } from '../../../shared/errors.ts'
import type { BalanceView, IssueRequest } from '../../../shared/wire/credits.ts'
import { auditEntry } from '../audit-log/entry.ts'
import type { AuditLogStore } from '../audit-log/store.ts'
import type { DepartmentStore } from '../departments/store.ts'
import type { UserStore } from '../users/store.ts'
import type { AccountService } from './service.ts'

export type IssueService = {
  /**
   * Gives credits to a department or to one of its people. The same key and body again issue
   * nothing. Errors: `department.not_found`, `user.not_found`, `request.invalid` for an expiry in
   * the past, `idempotency.mismatch`.
   */
  readonly issue: (caller: Caller, key: string, request: IssueRequest) => Promise<BalanceView>
}

export type IssueParts = {
  readonly accounts: Pick<AccountService, 'issue'>
  readonly users: Pick<UserStore, 'find'>
  readonly departments: Pick<DepartmentStore, 'find'>
  readonly auditLog: Pick<AuditLogStore, 'append'>
  readonly clock: Clock
}

export function createIssueService(parts: IssueParts): IssueService {
  return {
    issue: async (caller, key, request) => {
      requirePermission(caller, 'credits.issue')
      await requireOwner(parts, request)
      const { department, user, credits } = request
      const accountId = accountIdOf({ department, user })
      const issueId = issueIdOf(caller, key, accountId)
      const expiresMs = expiryOf(request, parts.clock.nowMs())
      const microCredits = parseCredits(credits)
      const balance = await parts.accounts.issue({ accountId, issueId, microCredits, expiresMs })
      await noteIssue(parts, caller, { request, accountId, issueId, timeMs: balance.issueTimeMs })
      return {
        department,
        user: user ?? null,
        available: formatCredits(balance.availableMicroCredits),
        held: formatCredits(balance.heldMicroCredits),
        spent: formatCredits(balance.spentMicroCredits),
      }
    },
  }
}

type DoneIssue = {
  readonly request: IssueRequest
  readonly accountId: string
  readonly issueId: string
  readonly timeMs: number
}

/**
 * The ledger has the movement itself; this says who wanted it and from where. One id for one issue:
 * a request that is repeated after a crash writes what is missing and never a second entry.
 */
async function noteIssue({ auditLog }: IssueParts, by: Caller, done: DoneIssue): Promise<void> {
  const { request, accountId, issueId, timeMs } = done
  const { credits, expiresTime, department } = request
  const digest = createHash('sha256').update(issueId).digest()
  const id = newJobId(timeMs, (length) => digest.subarray(0, length))
  const target = { kind: 'Account', id: accountId, department }
  const after = { credits, expiresTime, issueId }
  const facts = { action: 'credits.issued', target, after } as const
  await auditLog.append([auditEntry({ id, nowMs: timeMs, by }, facts)])
}

async function requireOwner(
  { users, departments }: IssueParts,
  { department, user }: IssueRequest,
): Promise<void> {
  if ((await departments.find(department)) === null) {
    throw new AppError('department.not_found', `there is no department ${department}`)
  }
  if (user === undefined) return
  const person = await users.find(user)
  const isMember = person?.department === department && person.role !== 'guest'
  if (person?.state === 'Active' && isMember) return
  throw new AppError('user.not_found', `${department} has no member ${user}`)
}

function expiryOf({ expiresTime }: IssueRequest, nowMs: number): number | null {
  if (expiresTime === null) return null
  const expiresMs = Date.parse(expiresTime)
  if (expiresMs > nowMs) return expiresMs
  throw invalidRequest([{ path: '/expiresTime', message: 'is in the past' }])
}

/** One key may issue to several accounts: each is an issue of its own. */
function issueIdOf({ userId }: Caller, key: string, accountId: string): string {
  const text = JSON.stringify([userId, key, accountId])
  return `rest:${createHash('sha256').update(text).digest('hex').slice(0, 40)}`
}
