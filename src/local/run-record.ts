import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { AppError } from '../shared/errors.ts'
import { identityOf, isAlive, type ProcessIdentity } from './bootstrap/steps.mjs'

const entry = z.object({ name: z.string(), pid: z.int(), started: z.string() })
const content = z.object({ owner: entry, children: z.array(entry).readonly() })
type Entry = z.infer<typeof entry>

const stopGraceMs = 10_000
const pollMs = 50

/** The processes of this run, on disk, so that a run after a kill -9 can clean up. */
export type RunRecord = {
  readonly add: (name: string, pid: number) => void
  readonly remove: (pid: number) => void
}

/**
 * Opens `<data>/run.json` for this process. Children that a killed run left behind are stopped
 * first, each only when process id and start time both agree.
 * @throws AppError platform.misconfigured when another run is using the folder.
 */
export async function openRunRecord(path: string): Promise<RunRecord> {
  const former = readRecord(path)
  if (former !== undefined) {
    refuseIfRunning(former.owner, path)
    await stopLeftovers(former.children)
  }
  const owner = { name: 'atelier', ...identityOf(process.pid) }
  let children: readonly Entry[] = []
  const write = (next: readonly Entry[]): void => {
    children = next
    writeRecord(path, { owner, children })
  }
  write([])
  return {
    add: (name, pid) => write([...children, { name, ...identityOf(pid) }]),
    remove: (pid) => write(children.filter((child) => child.pid !== pid)),
  }
}

/** Stops what a dead run left behind; false when that run is alive or left no record. */
export async function endDeadRun(path: string): Promise<boolean> {
  const former = readRecord(path)
  if (former === undefined || isAlive(former.owner)) return false
  await stopLeftovers(former.children)
  return true
}

function refuseIfRunning(owner: Entry, path: string): void {
  if (owner.pid === process.pid || !isAlive(owner)) return
  throw new AppError(
    'platform.misconfigured',
    `Atelier runs already with the data folder ${dirname(path)} (process ${owner.pid}). ` +
      'Stop it with Ctrl-C there, or take another folder with --data FOLDER.',
  )
}

/** Last started first, all at once killed when the grace is over. */
async function stopLeftovers(children: readonly Entry[]): Promise<void> {
  for (const child of children.toReversed()) {
    if (!isAlive(child)) continue
    // PostgreSQL waits for its clients after SIGTERM; SIGINT is its fast shutdown.
    send(child, child.name === 'postgres' ? 'SIGINT' : 'SIGTERM')
    if (await endsWithin(child, stopGraceMs)) continue
    send(child, 'SIGKILL')
    await endsWithin(child, stopGraceMs)
  }
}

async function endsWithin(child: ProcessIdentity, limitMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += pollMs) {
    if (!isAlive(child)) return true
    await sleep(pollMs)
  }
  return !isAlive(child)
}

function send(child: ProcessIdentity, signal: NodeJS.Signals): void {
  try {
    process.kill(child.pid, signal)
  } catch {
    // It ended in the meantime.
  }
}

function readRecord(path: string): z.infer<typeof content> | undefined {
  try {
    return content.safeParse(JSON.parse(readFileSync(path, 'utf8'))).data
  } catch {
    return undefined
  }
}

function writeRecord(path: string, value: z.infer<typeof content>): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, JSON.stringify(value, null, 2))
  renameSync(`${path}.new`, path)
}
