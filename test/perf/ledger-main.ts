import { setTimeout as pause } from 'node:timers/promises'
import { cpus, loadavg } from 'node:os'
import process from 'node:process'
import { migrations } from '../../src/api/migrations/index.ts'
import { systemClock } from '../../src/platform/clock/system-clock.ts'
import { type Database, openDatabase } from '../../src/platform/mongo/database.ts'
import { openLease } from '../../src/platform/mongo/lease.ts'
import { migrate } from '../../src/platform/mongo/migrate.ts'
import { openTestDatabase } from '../support/database.ts'
import {
  countDrift,
  fundAccounts,
  holdAndSettle,
  type Ledger,
  type LoadResult,
  newId,
  openLedger,
  putUnderLoad,
} from './ledger-load.ts'
import { printRow, printTitle } from './print.ts'

/**
 * `npm run bench:ledger`: postings a second over many accounts and the wait of a hold on one busy
 * account, beside bare updates of single documents in the same run. One api process, closed loops.
 */
const marks = { postingsPerSecond: 3300, holdMs: 50 } as const
const seconds = 10
const [manyAccounts, manyCallers, users] = [100, 400, 120]

printTitle('Conditions')
printRow('processor', `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`)
printRow('node', process.version)
printRow('load average before', loads())

const engine = await openTestDatabase()
const uri = new URL(engine.uri)
uri.pathname = `/ledger-${newId()}`
const database = await openDatabase({ uri: uri.toString() })
try {
  printRow('database', engine.description)
  const lock = { database, name: 'migrations', holder: 'bench', clock: systemClock }
  const lease = openLease({ ...lock, durationMs: 60_000 })
  await migrate({ database, migrations, lock: lease, pause: async (ms) => await pause(ms) })
  await measureMany(database)
  await measureOne(database)
} finally {
  await database.native.dropDatabase()
  await database.close()
  await engine.stop()
}
printRow('load average after', loads())

/** A hold and its settlement are two postings; a bare update is one. */
async function measureMany(on: Database): Promise<void> {
  const bare = await measureBare(on, { callers: manyCallers, documents: manyAccounts })
  const ledger = openLedger(on)
  const ids = Array.from({ length: manyAccounts }, () => `member:bench:${newId()}`)
  await fundAccounts(ledger, ids)
  const call = async () => await holdAndSettle(ledger, ids)
  await putUnderLoad({ callers: manyCallers, seconds: 2, call })
  const load = await putUnderLoad({ callers: manyCallers, seconds, call })
  const postings = load.callsPerSecond * 2
  printTitle(`${manyAccounts} accounts, ${manyCallers} callers that hold and settle, ${seconds} s`)
  printRow('bare updates of one document each', `${bare.callsPerSecond.toFixed(0)}/s`)
  printRow('postings', `${postings.toFixed(0)}/s`)
  printRow('  ratio to bare updates', (postings / bare.callsPerSecond).toFixed(2))
  printMark(`> ${marks.postingsPerSecond}/s`, postings > marks.postingsPerSecond)
  await printSoundness(ledger, load)
}

async function measureOne(on: Database): Promise<void> {
  const bare = await measureBare(on, { callers: users, documents: 1 })
  const ledger = openLedger(on)
  const ids = [`department:${newId()}`]
  await fundAccounts(ledger, ids)
  await putUnderLoad({ callers: users, seconds: 2, call: () => holdAndSettle(ledger, ids) })
  const holdTimesMs: number[] = []
  const call = async () => await holdAndSettle(ledger, ids, holdTimesMs)
  const load = await putUnderLoad({ callers: users, seconds, call })
  const [hold, update] = [p99(holdTimesMs), p99(bare.timesMs)]
  printTitle(`One account, ${users} users that hold and settle, ${seconds} s`)
  printRow('bare update of one document: p99', `${update.toFixed(1)} ms`)
  printRow('hold: p50', `${percentile(holdTimesMs, 0.5).toFixed(1)} ms`)
  printRow('hold: p99', `${hold.toFixed(1)} ms (n = ${holdTimesMs.length})`)
  printRow('  ratio to a bare update', (hold / update).toFixed(2))
  printRow('postings', `${(load.callsPerSecond * 2).toFixed(0)}/s`)
  printMark(`hold p99 < ${marks.holdMs} ms`, hold < marks.holdMs)
  await printSoundness(ledger, load)
}

type Bare = { readonly callers: number; readonly documents: number }

async function measureBare(on: Database, { callers, documents }: Bare): Promise<LoadResult> {
  const bare = on.documents<{ readonly _id: string; readonly count: number }>('bare')
  const ids = Array.from({ length: documents }, newId)
  await bare.insertMissing(ids.map((_id) => ({ _id, count: 0 })))
  const call = async () => {
    const id = ids[Math.floor(Math.random() * ids.length)] ?? ''
    await bare.update({ _id: id }, { $inc: { count: 1 } })
  }
  await putUnderLoad({ callers, seconds: 2, call })
  return await putUnderLoad({ callers, seconds, call })
}

async function printSoundness(ledger: Ledger, { errors }: LoadResult): Promise<void> {
  await ledger.accounts.idle()
  const messages = new Set(errors.map((error) => (error instanceof Error ? error.message : '?')))
  printRow('errors', errors.length === 0 ? 'none' : `${errors.length}: ${[...messages].join('; ')}`)
  printRow('drift afterwards', String(await countDrift(ledger)))
}

function printMark(mark: string, isMet: boolean): void {
  printRow(`  mark ${mark}`, isMet ? 'met' : 'MISSED')
}

function p99(times: readonly number[]): number {
  return percentile(times, 0.99)
}

function percentile(times: readonly number[], share: number): number {
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * share) - 1] ?? NaN
}

function loads(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')
}
