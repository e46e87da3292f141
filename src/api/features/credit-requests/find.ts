import type { Caller } from '../../../shared/domain/caller.ts'
import { canSee } from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import type { CreditRequestRow, CreditRequestStore } from './store.ts'

/** Errors: `credits.request_not_found`, also for one that the caller may not see. */
export async function findVisible(
  requests: Pick<CreditRequestStore, 'find'>,
  caller: Caller,
  id: string,
): Promise<CreditRequestRow> {
  const row = await requests.find(id)
  // Whoever asked finds their own also after they have left the department.
  const isSeen = row?.owner.user === caller.userId || (row !== null && canSee(caller, row.owner))
  if (row !== null && row.state !== 'Asking' && isSeen) return row
  throw new AppError('credits.request_not_found', 'there is no such request')
}

export function alreadyDecided({ state }: Pick<CreditRequestRow, 'state'>): AppError {
  return new AppError('credits.request_decided', `this request is ${state}`)
}
