import { fork } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { type JobEvents, openJobEvents } from '../../src/api/features/jobs/events.ts'
import { newAppliedRow } from '../../src/api/features/jobs/new-row.ts'
import { type JobStore, openJobStore } from '../../src/api/features/jobs/store.ts'
import { systemClock } from '../../src/platform/clock/system-clock.ts'
import { openDatabase } from '../../src/platform/mongo/database.ts'
import { openPubSub } from '../../src/platform/redis/pub-sub.ts'
import { generationJobSpec } from '../../src/shared/crd/generation-job.ts'
import { newJobId } from '../../src/shared/domain/job-id.ts'
import { smallProcess } from '../../src/local/product.ts'
import { openTestFoundation } from '../support/foundation.ts'
import { printRow, printTitle } from './print.ts'
import type { realtimeApiOptions } from './realtime-api.ts'
import { type Clients, openClients, type Person, signIn } from './realtime-clients.ts'

/**
 * `npm run bench:realtime`: how long an event takes to reach 1,000 WebSocket clients, and what the
 * api process needs for it. Publisher and clients share a process and so a clock; the api has its
 * own process; everything shares the processors.
 */
const socketCount = 1000
const eventsPerSecond = 50
const seconds = 30
const department = 'bench'
const password = 'correct horse battery'
const marks = { p99Ms: 500, rssMegabytes: 200 }

type Variant = {
  readonly title: string
  readonly people: number
  readonly jobsPerPerson: number
  /** `Snapshot`: the row changes and is told whole. `Progress`: numbers between two changes. */
  readonly event: 'Snapshot' | 'Progress'
}

const variants: readonly Variant[] = [
  {
    title: '1 person × 1,000 sockets, job snapshots',
    people: 1,
    jobsPerPerson: 100,
    event: 'Snapshot',
  },
  { title: '20 people × 50 sockets, progress', people: 20, jobsPerPerson: 20, event: 'Progress' },
]

type Scene = {
  readonly address: string
  readonly pid: number
  readonly jobs: JobStore
  readonly events: JobEvents
}

await run()

async function run(): Promise<void> {
  const foundation = await openTestFoundation()
  const folder = await mkdtemp(join(tmpdir(), 'atelier-bench-'))
  const name = `bench-${randomBytes(4).toString('hex')}`
  const { kubeconfigPath, redisUrl, mongodbUri } = foundation.environment
  const options: z.infer<typeof realtimeApiOptions> = {
    kubeconfigPath,
    redisUrl,
    mongodbUri: `${mongodbUri}/${name}`,
    redisPrefix: `${name}:`,
    folder,
    accountsFile: await writeAccounts(folder),
    socketsMax: socketCount,
  }
  const script = join(import.meta.dirname, 'realtime-api.ts')
  const api = fork(script, [JSON.stringify(options)], {
    execArgv: [...smallProcess.nodeOptions],
    env: { ...process.env, ...smallProcess.environment },
  })
  const pubSub = openPubSub({
    url: redisUrl,
    prefix: options.redisPrefix,
    onError: () => undefined,
  })
  try {
    const [message] = await once(api, 'message')
    const { address } = z.object({ address: z.string() }).parse(message)
    const database = await openDatabase({ uri: options.mongodbUri })
    const jobs = openJobStore(database, systemClock)
    const events = openJobEvents(pubSub)
    printConditions(foundation.descriptions)
    const scene = { address, pid: api.pid ?? 0, jobs, events }
    printRow('api process before', `${residentMegabytes(scene.pid).toFixed(0)} MB resident`)
    for (const variant of variants) await measure(scene, variant)
    await database.close()
  } finally {
    // Not by a signal: Node writes its compile cache at an orderly end only.
    api.send('stop')
    await once(api, 'exit')
    await pubSub.close()
    await foundation.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

function printConditions(descriptions: readonly string[]): void {
  printTitle('Conditions')
  printRow('processor', `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`)
  printRow('node', `${process.version}, api with ${smallProcess.nodeOptions.join(' ')}`)
  for (const line of descriptions) printRow('part', line)
  printRow('sockets', `${socketCount}, no compression, on loopback`)
  printRow('events', `${eventsPerSecond}/s that reach every socket, for ${seconds} s`)
}

async function measure(scene: Scene, variant: Variant): Promise<void> {
  const people: Person[] = []
  for (let index = 0; index < variant.people; index += 1) {
    people.push(await signIn(scene.address, emailOf(index), password))
  }
  const board = createBoard()
  const jobIds = new Map<string, readonly string[]>()
  for (const { userId } of people) jobIds.set(userId, await insertJobs(scene, userId, variant))
  const beganMs = performance.now()
  const clients = await openClients(scene.address, people, {
    sockets: socketCount,
    published: board,
    kind: variant.event,
  })
  const openedMs = performance.now() - beganMs
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  const usage = watchProcess(scene.pid)
  for (let tick = 0; tick < eventsPerSecond * seconds; tick += 1) {
    const dueMs = usage.beganMs + (tick * 1000) / eventsPerSecond
    await sleep(Math.max(0, dueMs - performance.now()))
    for (const { userId } of people) {
      const ids = jobIds.get(userId) ?? []
      const jobId = ids[tick % ids.length] ?? ''
      void publish(scene, board, { userId, jobId, variant, number: tick + 1 })
    }
  }
  await settle(clients)
  delay.disable()
  printResult(variant, { clients, board, openedMs, delayMs: delay.percentile(99) / 1e6, usage })
  clients.close()
  await sleep(1000)
}

type News = {
  readonly userId: string
  readonly jobId: string
  readonly variant: Variant
  readonly number: number
}

async function publish({ jobs, events }: Scene, board: Board, news: News): Promise<void> {
  const { userId, jobId, variant, number } = news
  const owner = { department, user: userId }
  if (variant.event === 'Progress') {
    const counts = { step: number, steps: 9999, imagesDone: 0, images: 1, stepsDone: number }
    board.note(userId, jobId, number)
    const progress = { sequence: number, stage: 'Denoising', ...counts } as const
    events.publish({ jobId, revision: 1, progress }, owner)
    return
  }
  const row = await jobs.change(jobId, {}, { message: `Change ${number}.` })
  if (row === null) throw new Error('the job is there')
  board.note(userId, jobId, row.revision)
  events.publish({ jobId, revision: row.revision }, owner)
}

/** What was published when. */
function createBoard() {
  const times = new Map<string, Map<number, number>>()
  const newest = new Map<string, Map<string, number>>()
  let count = 0
  return {
    note: (userId: string, jobId: string, number: number): void => {
      count += 1
      times.set(
        jobId,
        (times.get(jobId) ?? new Map<number, number>()).set(number, performance.now()),
      )
      newest.set(userId, (newest.get(userId) ?? new Map<string, number>()).set(jobId, number))
    },
    timeOf: (jobId: string, number: number) => times.get(jobId)?.get(number),
    newestOf: (userId: string): ReadonlyMap<string, number> => newest.get(userId) ?? new Map(),
    count: () => count,
  }
}
type Board = ReturnType<typeof createBoard>

/** A lost event would be found by the sockets' look at the database, at most 15 s later. */
async function settle(clients: Clients): Promise<void> {
  for (let turn = 0; turn < 40 && clients.behind() > 0; turn += 1) await sleep(500)
}

type Result = {
  readonly clients: Clients
  readonly board: Board
  readonly openedMs: number
  readonly delayMs: number
  readonly usage: ReturnType<typeof watchProcess>
}

function printResult(variant: Variant, { clients, board, openedMs, delayMs, usage }: Result): void {
  const sorted = Float64Array.from(clients.latenciesMs()).toSorted()
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? NaN
  const wanted = board.count() * (socketCount / variant.people)
  const { peakMegabytes, cores, ownCores } = usage.stop()
  printTitle(variant.title)
  printRow('sockets opened, with tickets', `${(openedMs / 1000).toFixed(1)} s`)
  printRow(
    'published → received',
    `p50 ${at(0.5).toFixed(1)}  p99 ${at(0.99).toFixed(1)}  max ${at(1).toFixed(1)} ms`,
  )
  printRow(`mark p99 ≤ ${marks.p99Ms} ms`, at(0.99) <= marks.p99Ms ? 'met' : 'MISSED')
  printRow(
    'received, of published × sockets',
    `${sorted.length} of ${wanted}; the rest gave way to newer ones`,
  )
  printRow('told twice', String(clients.repeated()))
  printRow('lost: sockets without the newest state', String(clients.behind()))
  printRow('sockets closed meanwhile', String(clients.closed()))
  printRow('api process, resident at most', `${peakMegabytes.toFixed(0)} MB`)
  printRow(
    `mark ≤ ${marks.rssMegabytes} MB`,
    peakMegabytes <= marks.rssMegabytes ? 'met' : 'MISSED',
  )
  printRow('api process, processor', `${cores.toFixed(2)} cores`)
  printRow('clients and publisher, processor', `${ownCores.toFixed(2)} cores`)
  printRow('event-loop delay of the clients, p99', `${delayMs.toFixed(1)} ms`)
}

function watchProcess(pid: number) {
  const beganMs = performance.now()
  const beganCpuMs = cpuMs(pid)
  const ownBeganMs = cpuMs(process.pid)
  let peakMegabytes = 0
  const look = () => {
    peakMegabytes = Math.max(peakMegabytes, residentMegabytes(pid))
  }
  const timer = setInterval(look, 250)
  return {
    beganMs,
    stop: () => {
      clearInterval(timer)
      const tookMs = performance.now() - beganMs
      return {
        peakMegabytes,
        cores: (cpuMs(pid) - beganCpuMs) / tookMs,
        ownCores: (cpuMs(process.pid) - ownBeganMs) / tookMs,
      }
    },
  }
}

function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN) * 1.024e-3
}

/** User and system time; the kernel counts in hundredths of a second. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function emailOf(index: number): string {
  return `person-${index}@bench.example`
}

async function writeAccounts(folder: string): Promise<string> {
  const file = join(folder, 'accounts.json')
  const users = Array.from(
    { length: Math.max(...variants.map(({ people }) => people)) },
    (_, index) => ({
      email: emailOf(index),
      password,
      name: `Person ${index}`,
      role: 'department_member',
      department,
    }),
  )
  const departments = [{ name: department, displayName: 'Bench' }]
  await writeFile(file, JSON.stringify({ departments, users, credits: [] }))
  return file
}

async function insertJobs(
  { jobs }: Scene,
  userId: string,
  { jobsPerPerson }: Variant,
): Promise<readonly string[]> {
  const parameters = { prompt: 'a photo of a scratch on metal', seed: 1, images: 1 }
  const spec = generationJobSpec.parse({
    owner: { department },
    task: 'TextToImage',
    modelRef: { name: 'demo' },
    parameters,
  })
  const ids: string[] = []
  for (let index = 0; index < jobsPerPerson; index += 1) {
    const nowMs = systemClock.nowMs()
    const uid = newJobId(nowMs, randomBytes)
    const from = {
      uid,
      namespace: 'bench',
      name: uid,
      spec,
      parameters: spec.parameters,
      inputs: [],
    }
    const price = { microCredits: 0, images: 1 }
    const row = newAppliedRow({ ...from, price, refusal: null, nowMs })
    await jobs.insert({ ...row, owner: { department, user: userId } })
    ids.push(uid)
  }
  return ids
}
