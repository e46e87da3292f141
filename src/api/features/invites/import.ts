import type { Caller } from '../../../shared/domain/caller.ts'
import { type AppError, type ErrorCode, isAppError } from '../../../shared/errors.ts'
import {
  type ImportAnswer,
  type InviteColumn,
  inviteColumns,
  type InviteRequest,
  inviteRequest,
} from '../../../shared/wire/invites.ts'
import { addressKey, type Language } from '../../../shared/wire/text.ts'
import { type CsvRow, readCsv } from './csv.ts'
import { type InviteParts, invitePerson } from './invite.ts'

export type InviteFile = {
  readonly bytes: Uint8Array
  /** Of the mails. */
  readonly language: Language
}

type Refusal = ImportAnswer['refused'][number]
type Outcome = 'Created' | 'Unchanged' | Refusal

/** Rows wait for the database most of the time; a thousand must fit into one request. */
const concurrentMax = 8

/**
 * Each row for itself. Repeating a file mails nobody twice, as long as the first mail is good. When
 * the database breaks off, the rest of the rows stays for the next time.
 */
export async function importInvites(
  parts: InviteParts,
  caller: Caller,
  { bytes, language }: InviteFile,
): Promise<ImportAnswer> {
  const rows = readCsv(bytes)
  const seen = new Map<string, number>()
  const checked = rows.map((row) => checkRow(row, { seen, language }))
  const outcomes: Outcome[] = []
  const queue = takeRows(checked)
  const work = async (): Promise<void> => {
    for (const [index, row] of queue) outcomes[index] = await inviteRow(parts, caller, row)
  }
  await Promise.all(Array.from({ length: concurrentMax }, work))
  return {
    created: outcomes.filter((outcome) => outcome === 'Created').length,
    unchanged: outcomes.filter((outcome) => outcome === 'Unchanged').length,
    refused: outcomes.filter((outcome) => typeof outcome === 'object'),
  }
}

/** A fault in the loop over a generator closes it, and so for all workers that take from it. */
function* takeRows(rows: readonly Checked[]): Generator<readonly [number, Checked]> {
  yield* rows.entries()
}

type Checked = Refusal | { readonly line: number; readonly request: InviteRequest }
type FileFacts = {
  /** Line of the file by address. */
  readonly seen: Map<string, number>
  readonly language: Language
}

function checkRow({ line, values }: CsvRow, { seen, language }: FileFacts): Checked {
  const { email, name, department, role } = values
  const result = inviteRequest.safeParse({
    email,
    department,
    language,
    ...(name !== '' && { name }),
    ...(role !== '' && { role }),
  })
  if (!result.success) {
    const [issue] = result.error.issues
    return { line, field: columnOf(issue?.path[0]), message: issue?.message ?? 'is not valid' }
  }
  const key = addressKey(result.data.email)
  const first = seen.get(key)
  if (first !== undefined) {
    return { line, field: 'email', message: `is the same address as in line ${first}` }
  }
  seen.set(key, line)
  return { line, request: result.data }
}

function columnOf(name: unknown): InviteColumn | null {
  return inviteColumns.find((column) => column === name) ?? null
}

async function inviteRow(parts: InviteParts, caller: Caller, row: Checked): Promise<Outcome> {
  if ('message' in row) return row
  const { name = null, ...request } = row.request
  try {
    const invite = { ...request, name }
    const { isNew } = await invitePerson(parts, caller, { invite, keepSame: true })
    return isNew ? 'Created' : 'Unchanged'
  } catch (error) {
    if (!isAppError(error) || fieldOfFault(error) === undefined) throw error
    return { line: row.line, field: fieldOfFault(error) ?? null, message: error.message }
  }
}

const faults: Partial<Record<ErrorCode, InviteColumn>> = {
  'department.not_found': 'department',
  'auth.forbidden': 'role',
  'user.email_taken': 'email',
}

/** Undefined for a fault that is not the row's own. */
function fieldOfFault({ code }: AppError): InviteColumn | undefined {
  return faults[code]
}
