import { buffer } from 'node:stream/consumers'
import { parse } from 'csv-parse/sync'
import { describe, expect, test } from 'vitest'
import { type CsvPart, toCsv } from '../../../src/api/features/audit-log/csv.ts'
import type { AuditEntry } from '../../../src/api/features/audit-log/entry.ts'

const entry: AuditEntry = {
  _id: '01kgy3m9t4q8w2e6r0v5n7b1xc',
  timeMs: Date.UTC(2026, 2, 2, 9, 15, 42, 118),
  action: 'user.moved',
  actor: {
    kind: 'User',
    id: 'u-1',
    role: 'super_admin',
    department: 'quality',
    keyId: '01kgy3m9r2b6d0f4h8k2n5q9s3',
  },
  target: { kind: 'user', id: 'u-2', department: 'research' },
  before: { department: 'quality' },
  after: { department: 'research' },
  origin: { ip: '203.0.113.7', userAgent: 'curl/8', requestId: '01kgy3m9sz0a4c8e2g6j1m5p9r' },
}

async function csvOf(...parts: readonly CsvPart[]): Promise<string> {
  return (await buffer(toCsv(later(parts)))).toString()
}

async function* later(parts: readonly CsvPart[]) {
  yield* parts
}

async function* broken() {
  yield { entries: [entry] }
  throw new Error('gone')
}

const rowsOf = (csv: string): unknown[] => parse(csv, { bom: true, columns: true })

describe('the audit log as CSV', () => {
  test('is a byte order mark, a header and one line per entry, all ended by CR LF', async () => {
    const csv = await csvOf({ entries: [entry] })
    expect(csv).toBe(
      '\uFEFFtime,action,actorKind,actorId,actorRole,actorDepartment,actorKeyId,' +
        'targetKind,targetId,targetDepartment,before,after,ip,userAgent,requestId,id\r\n' +
        '2026-03-02T09:15:42.118Z,user.moved,User,u-1,super_admin,quality,' +
        '01kgy3m9r2b6d0f4h8k2n5q9s3,user,u-2,research,' +
        '"{""department"":""quality""}","{""department"":""research""}",203.0.113.7,curl/8,' +
        '01kgy3m9sz0a4c8e2g6j1m5p9r,01kgy3m9t4q8w2e6r0v5n7b1xc\r\n',
    )
  })

  test('has its header even without entries', async () => {
    const csv = await csvOf({ entries: [] })
    expect(csv.startsWith('\uFEFFtime,action,')).toBe(true)
    expect(rowsOf(csv)).toEqual([])
  })

  test('leaves empty what an entry does not have', async () => {
    const actor = { kind: 'System', id: 'sweep', role: null, department: null } as const
    const bare = { ...entry, actor, before: null, after: null, origin: null }
    expect(rowsOf(await csvOf({ entries: [bare] }))).toMatchObject([
      {
        actorRole: '',
        actorDepartment: '',
        actorKeyId: '',
        before: '',
        after: '',
        ip: '',
        requestId: '',
      },
    ])
  })

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '\rx', '＝1', '＋1', '－1', '＠x'])(
    'never begins a cell with the formula %j',
    async (userAgent) => {
      const origin = { ip: '203.0.113.7', userAgent, requestId: 'r' }
      const rows = rowsOf(await csvOf({ entries: [{ ...entry, origin }] }))
      expect(rows).toMatchObject([{ userAgent: `'${userAgent}` }])
    },
  )

  test.each(['a,b', 'a"b', '"', 'a\nb', 'a\r\nb', 'a\rb', '김민아', '💥', ' x '])(
    'gives the text %j back as it was',
    async (userAgent) => {
      const origin = { ip: '203.0.113.7', userAgent, requestId: 'r' }
      const rows = rowsOf(await csvOf({ entries: [{ ...entry, origin }] }))
      expect(rows).toMatchObject([{ userAgent }])
    },
  )

  test('ends with a row of full width when there is a note', async () => {
    const rows = rowsOf(await csvOf({ entries: [entry] }, { entries: [], note: 'more' }))
    expect(rows).toMatchObject([{ id: entry._id }, { time: 'more', id: '', action: '' }])
  })

  test('breaks off when the entries cannot be read', async () => {
    await expect(buffer(toCsv(broken()))).rejects.toThrow('gone')
  })
})
