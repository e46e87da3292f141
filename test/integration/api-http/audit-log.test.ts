import { buffer } from 'node:stream/consumers'
import { parse } from 'csv-parse/sync'
import { encode } from 'fast-png'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { AuditEntry } from '../../../src/api/features/audit-log/entry.ts'
import { createAuditLogService } from '../../../src/api/features/audit-log/service.ts'
import { auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

let api: TestApi
/** Ten minutes ago, so that what the tests themselves cause is never inside. */
const startMs = Date.now() - 600_000

/** 25 entries, one a second, alternately about two departments; two of the same moment. */
function entryAt(index: number): AuditEntry {
  const department = index % 2 === 0 ? api.surroundings.quality : api.surroundings.research
  return {
    _id: `entry-${String(index).padStart(3, '0')}`,
    timeMs: startMs + Math.max(index, 1) * 1000,
    action: index % 5 === 0 ? 'user.moved' : 'user.approved',
    actor: { kind: 'User', id: `u-${index % 3}`, role: 'super_admin', department },
    target: { kind: 'user', id: `u-target-${index % 4}`, department },
    before: { role: 'guest' },
    after: { role: 'department_member' },
    origin: { ip: '203.0.113.7', userAgent: '=cmd', requestId: 'r' },
  }
}

const seeded = (until: number) => ({
  from: new Date(startMs).toISOString(),
  until: new Date(startMs + until * 1000).toISOString(),
})

beforeAll(async () => {
  api = await startApi()
  const entries = Array.from({ length: 25 }, (_, index) => entryAt(index))
  await api.core.people.auditLog.append(entries)
  const siteWide = { ...entryAt(3), _id: 'entry-100', timeMs: startMs + 100_000 }
  const target = { kind: 'settings', id: 'site', department: null }
  await api.core.people.auditLog.append([{ ...siteWide, action: 'settings.changed', target }])
})
afterAll(async () => {
  await api.close()
})

const urlOf = (path: string, query: Record<string, string>): string =>
  `${path}?${new URLSearchParams(query).toString()}`

async function list(person: Person, query: Record<string, string> = seeded(200)) {
  const response = await api.call({ url: urlOf('/v1/audit-log', query), as: person })
  expect(response.statusCode).toBe(200)
  return auditLogPage.parse(response.json())
}

const idsOf = (page: z.infer<typeof auditLogPage>): string[] => page.items.map(({ id }) => id)
const csvShape = z.array(z.record(z.string(), z.string()))

describe('the audit log', () => {
  test('is listed newest first, page by page, without gap or double', async () => {
    const seen: string[] = []
    let cursor: string | undefined
    for (let pages = 0; pages < 10; pages += 1) {
      const query = { ...seeded(200), limit: '7', ...(cursor !== undefined && { cursor }) }
      const page = await list('root', query)
      seen.push(...idsOf(page))
      if (page.next === null) break
      cursor = page.next
    }
    expect(seen).toHaveLength(26)
    expect(seen).toEqual([...new Set(seen)].toSorted().toReversed())
  })

  test('shows a whole entry', async () => {
    const page = await list('root', { ...seeded(200), limit: '2' })
    const { _id, timeMs, ...facts } = entryAt(24)
    expect(page.items[1]).toEqual({ id: _id, time: new Date(timeMs).toISOString(), ...facts })
  })

  test('is for department admins what is about their own department', async () => {
    const page = await list('lead', { ...seeded(200), limit: '100' })
    expect(page.items).toHaveLength(13)
    const departments = new Set(page.items.map(({ target }) => target.department))
    expect(departments).toEqual(new Set([api.surroundings.quality]))
    const same = await list('lead', { ...seeded(200), department: api.surroundings.quality })
    expect(same.items).toHaveLength(13)
  })

  test('refuses the department of others to department admins', async () => {
    for (const path of ['/v1/audit-log', '/v1/audit-log/export']) {
      for (const department of [api.surroundings.research, 'nothing-of-this-name']) {
        const response = await api.call({ url: urlOf(path, { department }), as: 'lead' })
        expect(response.json()).toMatchObject({ status: 403, code: 'auth.forbidden' })
      }
    }
  })

  test.each([
    [{ action: 'user.moved' }, 5],
    [{ actor: 'u-1' }, 8],
    [{ target: 'u-target-2' }, 6],
    [{ action: 'user.moved', actor: 'u-1' }, 1],
    [{ actor: ' u-1 ' }, 8],
    [{ actor: 'nobody' }, 0],
    [{ action: 'settings.changed' }, 1],
  ])('answers to %j with %i entries', async (filter, count) => {
    const page = await list('root', { ...seeded(200), limit: '100', ...filter })
    expect(page.items).toHaveLength(count)
  })

  test('takes the first moment of a time span and leaves out its last', async () => {
    const at = (second: number) => new Date(startMs + second * 1000).toISOString()
    const page = await list('root', { from: at(3), until: at(5) })
    expect(idsOf(page)).toEqual(['entry-004', 'entry-003'])
    const korean = new Date(startMs + 3000 + 9 * 3_600_000).toISOString().replace('Z', '+09:00')
    expect(idsOf(await list('root', { from: korean, until: at(5) }))).toHaveLength(2)
  })

  test.each([
    ['cursor', { cursor: 'bm90LWEtY3Vyc29y' }],
    ['action', { action: 'user.flew' }],
    ['from', { from: 'yesterday' }],
    ['until', { from: '2026-03-02T00:00:00Z', until: '2026-03-02T00:00:00Z' }],
    ['department', { department: '../x' }],
    ['actor', { actor: 'a\0b' }],
    ['target', { target: 'x'.repeat(201) }],
    ['limit', { limit: '101' }],
    ['actor[$gt]', { 'actor[$gt]': '' }],
  ])('refuses a bad %s and names it', async (path, query) => {
    const response = await api.call({ url: urlOf('/v1/audit-log', query), as: 'root' })
    expect(response.json()).toMatchObject({ status: 400, errors: [{ path }] })
  })

  test('has no route that changes it', async () => {
    const routes = api.api.routes.filter(({ url }) => url.includes('audit-log'))
    expect(routes.map(({ method }) => method)).toEqual(['GET', 'GET'])
  })

  test('keeps an entry as it was first written', async () => {
    const { auditLog } = api.core.people
    await auditLog.append([{ ...entryAt(7), action: 'user.deleted' }])
    const [entry] = await auditLog.page({ targetId: 'u-target-3', beforeId: 'entry-008', limit: 1 })
    expect(entry).toEqual(entryAt(7))
  })
})

describe('its export', () => {
  test('is a CSV file of the same entries, with no formula in it', async () => {
    const url = urlOf('/v1/audit-log/export', { ...seeded(200), action: 'user.moved' })
    const response = await api.call({ url, as: 'root' })
    expect(response.headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': 'attachment; filename="atelier-audit-log.csv"',
      'cache-control': 'no-store',
    })
    const rows = csvShape.parse(parse(response.rawPayload, { bom: true, columns: true }))
    const page = await list('root', { ...seeded(200), action: 'user.moved' })
    expect(rows.map(({ id }) => id)).toEqual(idsOf(page))
    expect(rows[0]?.['userAgent']).toBe("'=cmd")
  })

  test('is for department admins what they may list', async () => {
    const response = await api.call({ url: urlOf('/v1/audit-log/export', seeded(200)), as: 'lead' })
    const rows = csvShape.parse(parse(response.rawPayload, { bom: true, columns: true }))
    expect(rows).toHaveLength(13)
  })

  test('knows no pages', async () => {
    const response = await api.call({ url: '/v1/audit-log/export?limit=1', as: 'root' })
    expect(response.json()).toMatchObject({ status: 400, errors: [{ path: 'limit' }] })
  })

  test.each([
    [24, 25],
    [25, 25],
    [26, 25],
    [1, 25],
  ])('of at most %i rows says so when there are more than %i', async (exportRowsMax, count) => {
    const { auditLog } = api.core.people
    const service = createAuditLogService({ auditLog, exportRowsMax })
    const caller = { userId: 'u-root', role: 'super_admin', department: 'any' } as const
    const file = await buffer(await service.toCsv(caller, seeded(50)))
    const rows = csvShape.parse(parse(file, { bom: true, columns: true }))
    const isCut = exportRowsMax < count
    expect(rows.filter(({ id }) => id !== '')).toHaveLength(Math.min(exportRowsMax, count))
    expect(rows.filter(({ id }) => id === '')).toHaveLength(isCut ? 1 : 0)
    if (!isCut) return
    const last = rows.at(-2)?.['time'] ?? ''
    const next = new Date(Date.parse(last) + 1).toISOString()
    expect(rows.at(-1)?.['time']).toContain(`until=${next}`)
  })

  test('reads more than one page of the database', async () => {
    const many = Array.from({ length: 1200 }, (_, index) => ({
      ...entryAt(1),
      _id: `many-${String(index).padStart(5, '0')}`,
      target: { kind: 'user', id: 'u-many', department: api.surroundings.quality },
    }))
    await api.core.people.auditLog.append(many)
    const response = await api.call({ url: '/v1/audit-log/export?target=u-many', as: 'lead' })
    const rows = csvShape.parse(parse(response.rawPayload, { bom: true, columns: true }))
    expect(new Set(rows.map(({ id }) => id)).size).toBe(1200)
  })
})

describe('what people do with jobs and pictures', () => {
  test('a cancelled job is noted once, with who asked and from where', async () => {
    const id = await api.submit('mina')
    for (let times = 0; times < 2; times += 1) {
      await api.call({ method: 'POST', url: `/v1/jobs/${id}/cancel`, as: 'lead' })
    }
    const page = await list('lead', { target: id })
    expect(page.items).toMatchObject([
      {
        action: 'job.cancel_requested',
        actor: { role: 'department_admin' },
        target: { kind: 'job', id, department: api.surroundings.quality },
      },
    ])
  })

  test('somebody else’s job is neither cancelled nor noted', async () => {
    const id = await api.submit('mina')
    await api.call({ method: 'POST', url: `/v1/jobs/${id}/cancel`, as: 'sam' })
    expect((await list('root', { target: id })).items).toEqual([])
  })

  test('a deleted picture is noted', async () => {
    const headers = { 'content-type': 'image/png' }
    const pixels = {
      width: 2,
      height: 1,
      channels: 3,
      data: Uint8Array.of(1, 2, 3, 4, 5, 6),
    } as const
    const body = Buffer.from(encode(pixels))
    const upload = { method: 'POST', url: '/v1/artifacts', as: 'mina', body, headers } as const
    const { id } = z.looseObject({ id: z.string() }).parse((await api.call(upload)).json())
    await api.call({ method: 'DELETE', url: `/v1/artifacts/${id}`, as: 'mina' })
    await api.call({ method: 'DELETE', url: `/v1/artifacts/${id}`, as: 'mina' })
    expect((await list('root', { target: id })).items).toMatchObject([
      { action: 'artifact.deleted', target: { kind: 'artifact', id } },
    ])
  })
})
