import { randomUUID } from 'node:crypto'
import { systemClock } from '../../platform/clock/system-clock.ts'
import { type PoolConfig, readPoolConfig } from '../../platform/config/inference-pool.ts'
import { createLogger, type Logger } from '../../platform/log/logger.ts'
import { modelsOfSlot } from '../../shared/wire/pool.ts'
import { signalAfter, whenAborted } from '../pod/stop-signals.ts'
import { Runner } from '../runner/parent.ts'
import { cpuBudget } from '../runtime/cpu-budget.ts'
import { chooseProvider, imagesPerRunOf } from '../runtime/execution-provider.ts'
import { memoryBudgetBytes } from '../runtime/memory-budget.ts'
import { doJob, type JobSurroundings } from './do-job.ts'
import { cancelReserveMs, killReserveMs, reportReserveMs } from './limits.ts'
import { Pool } from './pool.ts'
import { readKey } from '../../platform/pool-pod/read-key.ts'
import { startPoolServer } from '../../platform/pool-pod/server.ts'
import { Slot } from './slot.ts'

/** The whole life of a pool pod: jobs until it is told to stop. Returns the exit code. */
export async function runPool(stop: AbortSignal): Promise<number> {
  const config = readPoolConfig()
  const log = createLogger({ process: 'inference', level: config.logLevel })
  // Without a key nobody could ever give it a job: better to end with the reason at once.
  await readKey(config.keyFile)
  const onError = (error: unknown, doing: string) =>
    log.warn({ doing, error }, 'something went wrong')
  const { pool, slots } = openPool(config, { stop, log, onError })
  const server = await startPoolServer({
    listen: config.listen,
    pool,
    readKey: () => readKey(config.keyFile),
    clock: systemClock,
    newId: randomUUID,
    onError,
  })
  log.info({ pool: config.pool, podUid: config.podUid, ...server.address }, 'pool pod listens')
  for (const { slot } of slots) {
    void slot.start().catch((error: unknown) => onError(error, 'starting a slot'))
  }
  await whenAborted(stop)
  log.info({}, 'pool pod drains')
  await endJobs({ pool, slots }, stop, config.graceSeconds * 1000)
  await server.close()
  return 0
}

type OpenSlot = { readonly slot: Slot; readonly runner: Runner }
type OpenPool = { readonly pool: Pool; readonly slots: readonly OpenSlot[] }

/** What runs may end by itself, is then cancelled and at last killed, in time for its report. */
async function endJobs({ pool, slots }: OpenPool, stop: AbortSignal, graceMs: number) {
  const closeRunners = async () => {
    await Promise.all(slots.map(({ runner }) => runner.close()))
  }
  const soft = signalAfter(stop, graceMs - cancelReserveMs)
  soft.addEventListener('abort', () => pool.cancelAll(), { once: true })
  const hard = signalAfter(stop, graceMs - killReserveMs)
  // A runner that cannot be killed is killed with the pod.
  hard.addEventListener('abort', () => void closeRunners().catch(() => {}), { once: true })
  await pool.drain()
  await closeRunners()
}

type Surroundings = {
  readonly stop: AbortSignal
  readonly log: Logger
  readonly onError: (error: unknown, doing: string) => void
}

function openPool(config: PoolConfig, { stop, log, onError }: Surroundings): OpenPool {
  const provider = chooseProvider(config.executionProvider)
  const memoryBytes = Math.floor(memoryBudgetBytes() / config.slots)
  const threads = Math.max(1, Math.floor(cpuBudget() / config.slots))
  const random = Math.random
  const slots = Array.from({ length: config.slots }, (_, index): OpenSlot => {
    const runner = new Runner()
    const models = modelsOfSlot(config.models, index)
    const profile = { threads, provider }
    const options = { runner, models, profile, memoryBytes, random, closed: stop, onError }
    return { runner, slot: new Slot(options) }
  })
  const surroundings: JobSurroundings = {
    ...config,
    memoryBytes,
    imagesPerRun: (batchSize) => imagesPerRunOf(provider, batchSize),
    clock: systemClock,
    random,
    deadline: signalAfter(stop, config.graceSeconds * 1000 - reportReserveMs),
    log,
  }
  const pool = new Pool({
    runner: randomUUID(),
    models: config.models,
    slots: slots.map(({ slot }) => slot),
    doJob: (job, lent) => doJob(job, lent, surroundings),
    onError,
  })
  return { pool, slots }
}
