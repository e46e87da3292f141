import { randomBytes } from 'node:crypto'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSystemService } from '../../../src/api/features/system/service.ts'
import { exportLedgerFigures } from '../../../src/api/metrics.ts'
import { openAuditor } from '../../../src/api/tasks/audit/auditor.ts'
import { openLedgerWatch } from '../../../src/api/tasks/audit/ledger-watch.ts'
import { auditDepsFor, counted, finishOne, newId, relay, reset } from './audit-scene.ts'
import { type InternalScene, openInternalScene } from './internal-scene.ts'
import { perImage } from './scene.ts'

let scene: InternalScene
let account: string

beforeAll(async () => {
  scene = await openInternalScene()
  account = `department:${scene.department}`
  await scene.fund(100 * perImage, account)
  for (let count = 0; count < 3; count += 1) await finishOne(scene)
  await relay(scene)
})
afterAll(async () => await scene.close())

/** An auditor of which the cluster can be taken away. */
function openUnlucky() {
  const { deps, counts } = counted(auditDepsFor(scene))
  const away = { isAway: false, lists: 0 }
  const listJobs = async () => {
    away.lists += 1
    if (away.isAway) throw new Error('the API server is away')
    return await deps.listJobs()
  }
  return { auditor: openAuditor({ ...deps, listJobs }), counts, away }
}

const orphan = { kind: 'OrphanHold' }

describe('an audit while the cluster does not answer', () => {
  it('goes on with the other checks, reads nothing anew and says what failed', async () => {
    const { auditor, counts, away } = openUnlucky()
    await auditor.full()
    await auditor.changes()
    away.isAway = true
    reset(counts)
    const stray = newId()
    await scene.parts.accounts.hold(account, stray, 1)
    await relay(scene)
    const failed = [{ check: 'resources', error: { message: 'the API server is away' } }]
    const report = { drift: null, differences: [{ ...orphan, id: stray }], failed }
    expect(await auditor.changes()).toMatchObject(report)
    expect(await auditor.changes()).toMatchObject(report)
    expect(counts).toMatchObject({ entries: 1, heads: 0, uploads: 0 })
    away.isAway = false
    expect(await auditor.changes()).toMatchObject({ drift: 1, differences: [orphan], failed: [] })
    expect(counts).toMatchObject({ entries: 1, heads: 0, uploads: 0 })
    await scene.parts.accounts.void(account, stray)
    expect(await auditor.changes()).toMatchObject({ drift: 0, differences: [], failed: [] })
  })

  it('keeps what the failed check had found, until it can look again', async () => {
    const { auditor, away } = openUnlucky()
    const { id, job } = await scene.startJob()
    await scene.parts.store.change(id, {}, { missingTimeMs: 1, uid: newId() })
    const found = { differences: [{ kind: 'RowWithoutResource', id }] }
    expect(await auditor.full()).toMatchObject({ drift: 1, ...found })
    away.isAway = true
    expect(await auditor.changes()).toMatchObject({ drift: null, ...found })
    expect(await auditor.full()).toMatchObject({ drift: null, ...found })
    await scene.parts.store.change(id, {}, { missingTimeMs: null, uid: job.metadata.uid })
    expect(await auditor.changes()).toMatchObject({ drift: null, ...found })
    away.isAway = false
    expect(await auditor.changes()).toMatchObject({ drift: 0, differences: [] })
  })

  it('is no answer to a super admin', async () => {
    const { auditor, away } = openUnlucky()
    const root = { userId: 'u-root', department: scene.department, role: 'super_admin' } as const
    const system = createSystemService(auditor.full)
    expect(await system.audit(root)).toMatchObject({ drift: 0 })
    away.isAway = true
    await expect(system.audit(root)).rejects.toMatchObject({
      code: 'platform.unavailable',
      message: 'could not check: resources',
    })
  })

  it('ends at once when the process ends', async () => {
    const closing = new AbortController()
    const deps = auditDepsFor(scene)
    const listJobs = async () => {
      closing.abort(new Error('closing'))
      return await Promise.reject(new Error('the API server is away'))
    }
    const auditor = openAuditor({ ...deps, listJobs, signal: closing.signal })
    await expect(auditor.full()).rejects.toThrow('closing')
  })
})

describe('the watch while the cluster does not answer', () => {
  it('exports what is found, and no 0 before a whole audit', async () => {
    const { auditor, away } = openUnlucky()
    const registry = new Registry()
    const logged: object[] = []
    const log = { error: (fields: object) => logged.push(fields) }
    const watch = openLedgerWatch({ auditor, clock: scene.clock, log })
    exportLedgerFigures(registry, watch.figures)
    const drift = async () => {
      const lines = (await registry.metrics()).split('\n')
      return lines.filter((line) => line.startsWith('atelier_ledger_drift{'))
    }
    away.isAway = true
    await watch.task.run()
    expect(logged).toMatchObject([{ check: 'resources', err: { message: /is away/ } }])
    expect([await drift(), watch.figures().audit]).toEqual([[], null])
    const stray = newId()
    await scene.parts.accounts.hold(account, stray, 1)
    await watch.task.run()
    expect(await drift()).toEqual(['atelier_ledger_drift{kind="OrphanHold"} 1'])
    away.isAway = false
    await watch.task.run()
    expect(await drift()).toContain('atelier_ledger_drift{kind="ResourceWithoutRow"} 0')
    const whole = watch.figures().audit
    expect(whole).not.toBeNull()
    away.isAway = true
    await scene.parts.accounts.void(account, stray)
    await watch.task.run()
    expect(watch.figures().audit).toEqual(whole)
    expect(await drift()).toContain('atelier_ledger_drift{kind="OrphanHold"} 0')
    watch.begin()
    expect(await drift()).toEqual([])
  })
})

describe('an audit while the objects cannot be listed', () => {
  it('looks at the ledger and the jobs', async () => {
    const deps = auditDepsFor(scene)
    const objects = {
      ...deps.objects,
      list: () => {
        throw new Error(`no folder ${randomBytes(2).toString('hex')}`)
      },
    }
    const report = await openAuditor({ ...deps, objects }).full()
    expect(report).toMatchObject({ drift: null, failed: [{ check: 'artifacts' }] })
    expect(report.checked.entries).toBeGreaterThan(5)
  })
})
