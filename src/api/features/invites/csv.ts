import { CsvError, parse } from 'csv-parse/sync'
import { z } from 'zod'
import { AppError } from '../../../shared/errors.ts'
import { type InviteColumn, inviteColumns } from '../../../shared/wire/invites.ts'

export const csvBytesMax = 256 * 1024
export const csvRowsMax = 1000
const fieldLengthMax = 2048

export type CsvRow = {
  /** Of the file; the header is line 1. */
  readonly line: number
  readonly values: Readonly<Record<InviteColumn, string>>
}

/** Spreadsheets of many countries write semicolons, and some programs tabs. */
const delimiters = [',', ';', '\t'] as const

const recordShape = z.object({
  record: z.array(z.string()),
  info: z.looseObject({ lines: z.int() }),
})

/**
 * The rows of a CSV file (RFC 4180) with a header of exactly our columns, in any order. A byte
 * order mark, CRLF, quotes and empty lines are fine. Errors: `request.invalid` for the file as a
 * whole: not UTF-8, not CSV, another header, too many rows.
 */
export function readCsv(bytes: Uint8Array): readonly CsvRow[] {
  const text = decode(bytes)
  const records = parseRecords(text)
  const [header, ...rows] = records
  const columns = readHeader(header?.record ?? [])
  if (rows.length > csvRowsMax) throw invalidFile(`has more than ${csvRowsMax} rows`)
  return rows.map(({ record, info }) => toRow(columns, record, info.lines))
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw invalidFile('is not UTF-8')
  }
}

type CsvRecord = z.infer<typeof recordShape>

function parseRecords(text: string): readonly CsvRecord[] {
  try {
    const parsed: unknown = parse(text, {
      bom: true,
      delimiter: delimiterOf(text),
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      skip_records_with_empty_values: true,
      trim: true,
      to: csvRowsMax + 2,
      max_record_size: inviteColumns.length * fieldLengthMax,
    })
    return z.array(recordShape).parse(parsed)
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    const line = typeof error.lines === 'number' ? ` near line ${error.lines}` : ''
    throw invalidFile(`is not CSV${line}`)
  }
}

/** The header has no quoted text with other separators in it. */
function delimiterOf(text: string): string {
  const [header = ''] = text.split(/\r\n|\n|\r/, 1)
  return delimiters.find((delimiter) => header.includes(delimiter)) ?? ','
}

function readHeader(names: readonly string[]): readonly InviteColumn[] {
  const columns = names.flatMap((name) => {
    const column = inviteColumns.find((one) => one === name.toLowerCase())
    return column === undefined ? [] : [column]
  })
  const isWhole = columns.length === names.length && new Set(columns).size === inviteColumns.length
  if (isWhole && columns.length === inviteColumns.length) return columns
  throw invalidFile(`must have the header ${inviteColumns.join(',')}`)
}

function toRow(columns: readonly InviteColumn[], record: readonly string[], line: number): CsvRow {
  const valueOf = (column: InviteColumn): string => record[columns.indexOf(column)] ?? ''
  const [email, name] = [valueOf('email'), valueOf('name')]
  const [department, role] = [valueOf('department'), valueOf('role')]
  return { line, values: { email, name, department, role } }
}

function invalidFile(fault: string): AppError {
  const fields = [{ path: '', message: fault }]
  return new AppError('request.invalid', `the file ${fault}`, { fields })
}
