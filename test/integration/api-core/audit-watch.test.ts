import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { relayOutboxes } from '../../../src/api/features/accounts/relay.ts'
import { exportLedgerFigures } from '../../../src/api/metrics.ts'
import { openAuditor } from '../../../src/api/tasks/audit/auditor.ts'
import { type LedgerWatch, openLedgerWatch } from '../../../src/api/tasks/audit/ledger-watch.ts'
import { differenceKinds } from '../../../src/shared/domain/audit-differences.ts'
import { testEnvironment } from '../../support/environment.ts'
import {
  auditDepsFor,
  counted,
  finishOne,
  liveThroughEverything,
  newId,
  relay,
  reset,
  sendWithoutArriving,
} from './audit-scene.ts'
import { type InternalScene, openInternalScene } from './internal-scene.ts'
import { perImage } from './scene.ts'

let scene: InternalScene
let account: string
const folders: string[] = []

beforeAll(async () => {
  scene = await openInternalScene()
  account = `department:${scene.department}`
  await scene.fund(100 * perImage, account)
  await liveThroughEverything(scene)
})
afterAll(async () => {
  await scene.close()
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

function collection(name: string) {
  return scene.parts.database.native.collection<{ _id: string }>(name)
}

describe('an audit of what is new', () => {
  it('reads no entry, no ended row and no object a second time', async () => {
    await relay(scene)
    const { deps, counts } = counted(auditDepsFor(scene))
    const auditor = openAuditor(deps)
    expect(await auditor.changes()).toMatchObject({ drift: 0 })
    expect(counts.heads).toBeGreaterThan(0)
    expect(counts.entries).toBeGreaterThan(0)
    await auditor.changes()
    reset(counts)
    expect(await auditor.changes()).toMatchObject({ drift: 0, checked: { entries: 0, rows: 0 } })
    expect(counts).toEqual({ entries: 0, rows: 0, heads: 0, uploads: 0 })
  })

  it('reads what is new once: its entries, its row and its object', async () => {
    const { deps, counts } = counted(auditDepsFor(scene))
    const auditor = openAuditor(deps)
    await auditor.full()
    await finishOne(scene)
    await relay(scene)
    reset(counts)
    expect(await auditor.changes()).toMatchObject({ drift: 0, checked: { entries: 2, rows: 1 } })
    expect(counts).toMatchObject({ heads: 1, uploads: 0 })
    reset(counts)
    await auditor.changes()
    expect(counts).toMatchObject({ heads: 0, entries: 0 })
  })

  it('finds what is wrong with new entries, and goes on telling until it is mended', async () => {
    const auditor = openAuditor(auditDepsFor(scene))
    expect(await auditor.full()).toMatchObject({ drift: 0 })
    const { id, key } = await finishOne(scene)
    await relay(scene)
    await collection('entries').updateOne({ _id: `${id}:hold` }, { $inc: { timeMs: 1 } })
    await scene.parts.objects.delete(key)
    const stray = newId()
    await scene.parts.accounts.hold(account, stray, 1)
    for (const again of [1, 2, 3]) {
      const { differences } = await auditor.changes()
      const found = differences.map(({ kind }) => kind).toSorted()
      expect({ again, found }).toEqual({
        again,
        found: ['ChainBroken', 'OrphanHold', 'OutputMissing'],
      })
    }
    await collection('entries').updateOne({ _id: `${id}:hold` }, { $inc: { timeMs: -1 } })
    await scene.parts.accounts.void(account, stray)
    await scene.parts.store.change(id, {}, { outputs: [] })
    expect(await auditor.changes()).toMatchObject({ drift: 0 })
  })

  it('finds sums that somebody edits where no entry is new', async () => {
    const auditor = openAuditor(auditDepsFor(scene))
    await auditor.full()
    const accounts = collection('accounts')
    await accounts.updateOne({ _id: account }, { $inc: { 'totals.sent': 1 } })
    expect(await auditor.changes()).toMatchObject({ differences: [{ kind: 'WrongSum' }] })
    await accounts.updateOne({ _id: account }, { $inc: { 'totals.sent': -1 } })
    expect(await auditor.changes()).toMatchObject({ drift: 0 })
  })

  it('finds that what was on its way has got lost', async () => {
    const auditor = openAuditor(auditDepsFor(scene))
    const to = `member:${scene.department}:u-2`
    const id = await sendWithoutArriving(scene, { from: account, to, microCredits: 2 })
    expect(await auditor.full()).toMatchObject({ drift: 0 })
    const { accountStore, accounts } = scene.parts
    const { outbox } = await accountStore.read(account)
    const sent = outbox.find(({ _id }) => _id === id)
    if (sent === undefined) throw new Error('it waits in the outbox')
    await accountStore.insertEntries([sent])
    await accountStore.dropFromOutboxes(new Map([[account, [id]]]))
    expect(await auditor.changes()).toMatchObject({ differences: [{ kind: 'TransferLost', id }] })
    await accounts.receive(to, sent)
    expect(await auditor.changes()).toMatchObject({ drift: 0 })
  })

  it('computes an account anew whose number went back, as after a backup', async () => {
    const auditor = openAuditor(auditDepsFor(scene))
    await relay(scene)
    const accounts = collection('accounts')
    const before = await accounts.findOne({ _id: account })
    const jobId = newId()
    await scene.parts.accounts.hold(account, jobId, 1)
    await scene.parts.accounts.void(account, jobId)
    await relay(scene)
    await auditor.full()
    if (before !== null) await accounts.replaceOne({ _id: account }, before)
    await collection('entries').deleteMany({ _id: { $in: [`${jobId}:hold`, `${jobId}:void`] } })
    expect(await auditor.changes()).toMatchObject({ drift: 0 })
  })
})

describe('the watch of the elected replica', () => {
  type Logged = { readonly fields: object; readonly sentence: string }
  let isLeader = true
  let watch: LedgerWatch
  const logged: Logged[] = []
  const registry = new Registry()

  beforeAll(() => {
    watch = openLedgerWatch({
      auditor: openAuditor(auditDepsFor(scene)),
      clock: scene.clock,
      log: { error: (fields, sentence) => logged.push({ fields, sentence }) },
    })
    exportLedgerFigures(registry, () => (isLeader ? watch.figures() : null))
  })

  const samples = async () => {
    const all = (await registry.metrics()).split('\n')
    return all.filter((line) => line !== '' && !line.startsWith('#'))
  }

  it('exports no drift before its first audit, and nothing where it is not elected', async () => {
    expect(await samples()).toEqual(['atelier_ledger_outbox_oldest_seconds 0'])
    isLeader = false
    expect(await samples()).toEqual([])
    isLeader = true
  })

  it('exports every kind, how long it took and when it was', async () => {
    await watch.task.run()
    const lines = await samples()
    for (const kind of differenceKinds) {
      expect(lines).toContain(`atelier_ledger_drift{kind="${kind}"} 0`)
    }
    const finish = /^atelier_ledger_audit_finish_timestamp_seconds ([0-9.]+)$/
    const seconds = lines.flatMap((line) => finish.exec(line)?.[1] ?? [])
    expect(Math.abs(Number(seconds[0]) - scene.clock.nowMs() / 1000)).toBeLessThan(60)
    expect(lines.some((line) => /^atelier_ledger_audit_seconds [0-9.]+$/.test(line))).toBe(true)
    expect(logged).toEqual([])
  })

  it('counts and logs each difference by its kind', async () => {
    const stray = newId()
    await scene.parts.accounts.hold(account, stray, 1)
    await watch.task.run()
    expect(await samples()).toContain('atelier_ledger_drift{kind="OrphanHold"} 1')
    expect(logged).toEqual([
      {
        fields: { kind: 'OrphanHold', id: stray, difference: 'there is no row', drift: 1 },
        sentence: 'the ledger has drifted',
      },
    ])
    await scene.parts.accounts.void(account, stray)
    await watch.task.run()
    expect(await samples()).toContain('atelier_ledger_drift{kind="OrphanHold"} 0')
    isLeader = false
    expect(await samples()).toEqual([])
    isLeader = true
  })

  it('tells the age of the oldest entry that waits, also while relaying fails', async () => {
    const { accountStore, accounts } = scene.parts
    const { receive } = accounts
    await relay(scene)
    const to = `member:${scene.department}:u-1`
    await sendWithoutArriving(scene, { from: account, to, microCredits: 1 })
    scene.clock.advance(90_000)
    const store = watch.observe(accountStore)
    const failing = {
      ...store,
      insertEntries: async () => await Promise.reject(new Error('is away')),
    }
    await expect(relayOutboxes({ store: failing, receive })).rejects.toThrow('is away')
    const age = watch.figures().outboxOldestSeconds
    expect(age).toBeGreaterThanOrEqual(90)
    expect(age).toBeLessThan(120)
    await relayOutboxes({ store, receive })
    await relayOutboxes({ store, receive })
    expect(await samples()).toContain('atelier_ledger_outbox_oldest_seconds 0')
  })

  it('forgets what it knew when it is elected anew', async () => {
    watch.begin()
    expect(watch.figures().audit).toBeNull()
    await watch.task.run()
    expect(watch.figures().audit).not.toBeNull()
  })
})

describe('npm run audit', () => {
  type End = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

  async function run(args: readonly string[], change: Record<string, string> = {}): Promise<End> {
    const { PATH, NODE_COMPILE_CACHE } = process.env
    const env = {
      PATH,
      NODE_COMPILE_CACHE,
      MONGODB_URI: scene.deps.mongodbUri,
      KUBECONFIG: testEnvironment().kubeconfigPath,
      ATELIER_OBJECTS_FOLDER: objectsFolder,
      ATELIER_INSTALLATION: scene.name,
      ...change,
    }
    const child = spawn(process.execPath, args, { env })
    const ended = once(child, 'exit')
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    await ended
    return { code: child.exitCode, stdout, stderr }
  }

  const program = 'src/api/audit-cli/main.ts'
  let objectsFolder: string

  beforeAll(async () => {
    objectsFolder = await mkdtemp(path.join(tmpdir(), `audit-${randomBytes(4).toString('hex')}-`))
    folders.push(objectsFolder)
    // The program opens the store by itself, and there each output of the scene is missing.
    await scene.parts.database.native.collection('jobs').updateMany({}, { $set: { outputs: [] } })
  })

  it('prints each difference and at last the drift', async () => {
    const stray = newId()
    await scene.parts.accounts.hold(account, stray, 1)
    const [{ code, stdout, stderr }, json] = await Promise.all([
      run([program]),
      run([program, '--json']),
    ])
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toContain(`OrphanHold\t${stray}\tthere is no row`)
    expect(lines.at(-1)).toBe(`drift ${lines.length - 1}`)
    const report = JSON.parse(json.stdout)
    expect(report).toMatchObject({ drift: lines.length - 1, checked: { accounts: 3 } })
    await scene.parts.accounts.void(account, stray)
  })

  it('prints drift 0 and ends well where all is equal', async () => {
    // The department of the scene has no row, so it must not be one of ours.
    const mine = { ATELIER_INSTALLATION: `${scene.name}-other` }
    const equal = { code: 0, stdout: 'drift 0\n', stderr: '' }
    expect(await run([program], mine)).toEqual(equal)
    const local = ['src/local/audit.ts', '--data', objectsFolder]
    const embedded = { ...mine, ATELIER_KUBECONFIG: testEnvironment().kubeconfigPath }
    await mkdir(path.join(objectsFolder, 'objects'))
    expect(await run(local, embedded)).toEqual(equal)
  })

  it('explains itself, and says with 2 that it could not look', async () => {
    // Looks for ten seconds, in which the others are tried.
    const away = run([program], { MONGODB_URI: 'mongodb://127.0.0.1:1/none' })
    const [help, wrong] = await Promise.all([run([program, '--help']), run([program, '--jsn'])])
    expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('OrphanHold') })
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    const kubeconfig = await readFile(testEnvironment().kubeconfigPath, 'utf8')
    const KUBECONFIG = path.join(objectsFolder, 'away.kubeconfig')
    await writeFile(KUBECONFIG, kubeconfig.replace(/https:[^"\s]+/, 'https://127.0.0.1:1'))
    for (const [flags, end] of [
      [[], /(^|\n)drift unknown\n$/],
      [['--json'], /"drift": null,[^]*"failed": \[\s*"resources",\s*"departments"\s*\]/],
    ] as const) {
      expect(await run([program, ...flags], { KUBECONFIG })).toMatchObject({
        code: 2,
        stdout: expect.stringMatching(end),
        stderr: expect.stringMatching(/^audit: could not check resources: .*\n/),
      })
    }
    const nowhere = ['src/local/audit.ts', '--data', path.join(objectsFolder, 'none')]
    expect(await run(nowhere)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/run npm start first/),
    })
    expect(await away).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^audit: /),
    })
  })
})
