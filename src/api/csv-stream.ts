import { pipeline, Readable } from 'node:stream'
import { type Options, stringify } from 'csv-stringify'

export type CsvRow<Column extends string> = Readonly<
  Record<Column, string | bigint | null | undefined>
>

export type CsvTable<Column extends string> = {
  readonly columns: readonly Column[]
  readonly rows: AsyncIterable<Partial<CsvRow<Column>>>
  /** How values are written that are no texts. */
  readonly cast?: Options['cast']
}

/**
 * RFC 4180 in UTF-8, one line per row; what is not there is an empty cell. It begins with a byte
 * order mark: without one Excel in a Korean Windows reads the bytes as CP949. A text that a
 * spreadsheet would run as a formula gets a `'` in front. Errors of `rows` end the stream.
 */
export function streamCsv<Column extends string>(table: CsvTable<Column>): Readable {
  const text = stringify({
    bom: true,
    header: true,
    columns: [...table.columns],
    record_delimiter: 'windows',
    quote_record_delimiter: true,
    escape_formulas: true,
    ...(table.cast === undefined ? {} : { cast: table.cast }),
  })
  // What goes wrong destroys `text`, whose reader sees it there.
  pipeline(Readable.from(table.rows), text, ignore)
  return text
}

function ignore(): void {}
