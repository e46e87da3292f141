import type { Readable } from 'node:stream'
import type { Caller } from '../../../shared/domain/caller.ts'
import type {
  AccountQuery,
  AccountsQuery,
  AccountSummary,
  AccountView,
  EntriesExportQuery,
  EntriesQuery,
  EntryView,
} from '../../../shared/wire/ledger.ts'
import type { Page } from '../../../shared/wire/pages.ts'
import { listAccounts } from './account-list.ts'
import { type AccountViewParts, viewAccount } from './account-views.ts'
import { type EntryListParts, exportEntries, listEntries } from './entry-list.ts'

/**
 * Members see their own account in their department, department admins all of their department,
 * super admins everything. Their errors are at each function.
 */
export type CreditViews = {
  readonly account: (caller: Caller, query: AccountQuery) => Promise<AccountView>
  readonly accounts: (caller: Caller, query: AccountsQuery) => Promise<Page<AccountSummary>>
  readonly entries: (caller: Caller, query: EntriesQuery) => Promise<Page<EntryView>>
  readonly entriesCsv: (caller: Caller, query: EntriesExportQuery) => Promise<Readable>
}

export function createCreditViews(parts: AccountViewParts & EntryListParts): CreditViews {
  return {
    account: async (caller, query) => await viewAccount(parts, caller, query),
    accounts: async (caller, query) => await listAccounts(parts, caller, query),
    entries: async (caller, query) => await listEntries(parts, caller, query),
    entriesCsv: async (caller, query) => await exportEntries(parts, caller, query),
  }
}
