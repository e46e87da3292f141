import { enableCompileCache } from 'node:module'
import process from 'node:process'
import {
  fetchEnvironment,
  packLeaseVariable,
  poolEnvironment,
} from '../shared/domain/pod-contract.ts'
import { catchStopSignals } from './pod/stop-signals.ts'

/**
 * The inference image's process: it fetches packs where it is told some, with the name of a pool it
 * serves that pool, else it does one job.
 */
// Saves a quarter of a second from the second start on; without a writable folder it does nothing.
enableCompileCache()
const stop = catchStopSignals()
try {
  const serve = isTold(poolEnvironment.pool) ? servePool : doOneJob
  const working = isTold(fetchEnvironment.packs) ? fetchAll() : serve()
  if (isTold(packLeaseVariable(0))) await keepLeases(working)
  // Idle connections of fetch would keep the process alive for seconds.
  process.exit(await working)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}

function isTold(variable: string): boolean {
  return (process.env[variable] ?? '') !== ''
}

/**
 * The child that loads onnxruntime is forked before the rest is even imported: its start is the
 * longest part of the way to the first step.
 */
async function doOneJob(): Promise<number> {
  const { Runner } = await import('./runner/parent.ts')
  const runner = new Runner()
  const { runPod } = await import('./pod/run-pod.ts')
  return runPod(runner, stop)
}

async function servePool(): Promise<number> {
  const { runPool } = await import('./pool/run-pool.ts')
  return runPool(stop)
}

async function fetchAll(): Promise<number> {
  const { runFetch } = await import('./fetch/run-fetch.ts')
  return runFetch(stop)
}

/** For as long as the work lasts no other pod evicts the packs that it uses. */
async function keepLeases(working: Promise<number>): Promise<void> {
  // Met by who awaits the work itself.
  const over = working.catch(() => undefined)
  const { holdLeases } = await import('./fetch/hold-leases.ts')
  await holdLeases(over)
}
