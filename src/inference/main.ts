import { enableCompileCache } from 'node:module'
import process from 'node:process'
import { catchStopSignals } from './pod/stop-signals.ts'
import { Runner } from './runner/parent.ts'

/**
 * A job pod's process. The child that loads onnxruntime is forked before anything else is even
 * imported: its start is the longest part of the way to the first step.
 */
// Saves a quarter of a second from the second start on; without a writable folder it does nothing.
enableCompileCache()
const stop = catchStopSignals()
const runner = new Runner()
try {
  const { runPod } = await import('./pod/run-pod.ts')
  // Idle connections of fetch would keep the process alive for seconds.
  process.exit(await runPod(runner, stop))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
