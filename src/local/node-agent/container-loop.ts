import { rmSync } from 'node:fs'
import { sleep } from '../../platform/clock/sleep.ts'
import type { Clock } from '../../shared/clock.ts'
import { type ProcessOutcome, describeEnd, terminationMessage } from './container-end.ts'
import {
  type ContainerProcess,
  type RunFolder,
  attachContainer,
  finishedAtMs,
  runFolder,
  startContainer,
  stopContainer,
} from './container-process.ts'
import type { ContainerEnd, ContainerRecord } from './pod-record.ts'
import type { Container, Pod, Probe } from './pod.ts'
import { type ProbeTarget, probeVerdicts } from './probes.ts'
import type { ProcessPlan } from './process-plan.ts'
import { type RestartBackoff, mustRestart, restartDelayMs } from './restart-policy.ts'

/** What a container's loop needs from its pod. */
export type ContainerSurroundings = {
  readonly pod: Pod
  readonly container: Container
  readonly isInit: boolean
  readonly podIp: string
  readonly folder: string
  readonly backoff: RestartBackoff
  readonly clock: Clock
  /** Fires when the pod shall end: nothing is started after that. */
  readonly signal: AbortSignal
  readonly graceMs: number
  readonly record: () => ContainerRecord
  readonly change: (change: Partial<ContainerRecord>) => void
  /** Resolves when the pod's volumes and variables are there; undefined = it had to end first. */
  readonly plan: (files: RunFolder) => Promise<ProcessPlan | undefined>
  /** The pod stops the process that is running now when it has to end. */
  readonly track: (process: ContainerProcess) => void
  readonly onError: (error: unknown) => void
}

/** Runs a container until it needs no restart or the pod shall end. */
export async function runContainer(surroundings: ContainerSurroundings): Promise<void> {
  const { pod, record, signal, isInit } = surroundings
  for (;;) {
    const { run, end } = record()
    if (run === undefined && end !== undefined) {
      const { exitCode } = end
      if (signal.aborted || !mustRestart(pod.spec.restartPolicy, { exitCode, isInit })) return
      await waitForRestart(surroundings, end)
    }
    if (run === undefined && signal.aborted) return
    await runOnce(surroundings)
  }
}

async function waitForRestart(
  { record, backoff, clock, change, signal, folder }: ContainerSurroundings,
  end: ContainerEnd,
): Promise<void> {
  const { endsInRow, restarts } = record()
  // As with a kubelet, one earlier run's log is kept.
  rmSync(runFolder(folder, restarts - 1).folder, { recursive: true, force: true })
  const dueMs = Date.parse(end.finishedAt) + restartDelayMs(Math.max(endsInRow, 1), backoff)
  const delayMs = dueMs - clock.nowMs()
  if (delayMs > 0) {
    const message = `the next start is due at ${new Date(dueMs).toISOString()}`
    change({ waiting: { reason: 'CrashLoopBackOff', message } })
    await sleep(delayMs, signal)
    if (signal.aborted) change({ waiting: undefined })
  }
  if (!signal.aborted) change({ restarts: restarts + 1 })
}

async function runOnce(surroundings: ContainerSurroundings): Promise<void> {
  const { record, change, clock, folder, backoff, container } = surroundings
  const { run, restarts, endsInRow } = record()
  const files = runFolder(folder, restarts)
  const now = () => new Date(clock.nowMs()).toISOString()
  const process =
    run === undefined ? await start(surroundings, { files, now }) : attachContainer(run, files)
  if (process === undefined) return
  surroundings.track(process)
  const probing = new AbortController()
  watchProbes(surroundings, { process, files, signal: probing.signal })
  const outcome = await process.ended
  probing.abort()
  const { startedAt } = process.run
  const endedMs = finishedAtMs(files) ?? clock.nowMs()
  const times = { startedAt, finishedAt: new Date(endedMs).toISOString() }
  const wasLong = endedMs - Date.parse(startedAt) >= backoff.resetAfterMs
  change({
    run: undefined,
    end: describeEnd(outcome, times, messageOf(container, { outcome, files })),
    endsInRow: wasLong ? 1 : endsInRow + 1,
    started: false,
    ready: false,
  })
}

function messageOf(
  { terminationMessagePolicy: policy }: Container,
  { outcome, files }: { readonly outcome: ProcessOutcome; readonly files: RunFolder },
): string | undefined {
  const exitCode = outcome.kind === 'Exited' ? outcome.exitCode : 137
  return terminationMessage(files, { policy, exitCode })
}

type StartContext = { readonly files: RunFolder; readonly now: () => string }

/** Starts the process; undefined when the pod shall end or the start has failed. */
async function start(
  { plan, signal, container, change, record, onError }: ContainerSurroundings,
  { files, now }: StartContext,
): Promise<ContainerProcess | undefined> {
  try {
    const ready = await plan(files)
    if (ready === undefined || signal.aborted) return undefined
    const process = startContainer(ready, { files, now })
    change({
      run: process.run,
      waiting: undefined,
      started: container.startupProbe === undefined,
      ready: container.startupProbe === undefined && container.readinessProbe === undefined,
    })
    return process
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    onError(error)
    const times = { startedAt: now(), finishedAt: now() }
    const end = { exitCode: 128, reason: 'StartError', message, ...times }
    change({ waiting: undefined, end, endsInRow: record().endsInRow + 1 })
    return undefined
  }
}

type Watched = {
  readonly process: ContainerProcess
  readonly files: RunFolder
  readonly signal: AbortSignal
}

/** Startup first; readiness and liveness begin when it has succeeded. */
function watchProbes(surroundings: ContainerSurroundings, watched: Watched): void {
  const { container, onError } = surroundings
  const { startupProbe, readinessProbe, livenessProbe } = container
  const probes = [startupProbe, readinessProbe, livenessProbe]
  if (probes.every((probe) => probe === undefined)) return
  const watch = async () => {
    const plan = await surroundings.plan(watched.files)
    if (plan === undefined) return
    const target: ProbeTarget = { container, address: surroundings.podIp, plan }
    if (startupProbe !== undefined && !surroundings.record().started) {
      await watchStartup(surroundings, { ...watched, target, probe: startupProbe })
    }
    await Promise.all([
      readinessProbe && watchReadiness(surroundings, { ...watched, target, probe: readinessProbe }),
      livenessProbe && watchLiveness(surroundings, { ...watched, target, probe: livenessProbe }),
    ])
  }
  watch().catch(onError)
}

type ProbeWatch = Watched & { readonly target: ProbeTarget; readonly probe: Probe }

async function watchStartup(surroundings: ContainerSurroundings, watch: ProbeWatch): Promise<void> {
  for await (const isUp of probeVerdicts(watch.probe, watch.target, watch.signal)) {
    if (!isUp) return await restart(surroundings, watch)
    const ready = surroundings.container.readinessProbe === undefined
    return surroundings.change({ started: true, ready })
  }
}

async function watchReadiness(
  { change }: ContainerSurroundings,
  { probe, target, signal }: ProbeWatch,
): Promise<void> {
  for await (const ready of probeVerdicts(probe, target, signal)) change({ ready })
}

async function watchLiveness(
  surroundings: ContainerSurroundings,
  watch: ProbeWatch,
): Promise<void> {
  for await (const isAlive of probeVerdicts(watch.probe, watch.target, watch.signal)) {
    if (!isAlive) return await restart(surroundings, watch)
  }
}

/** Ends the process for its probe; the loop then restarts it as the policy says. */
async function restart(
  { container, graceMs, onError }: ContainerSurroundings,
  { process, probe }: ProbeWatch,
): Promise<void> {
  onError(new Error(`container ${container.name} failed its probe and is stopped`))
  const ownGrace = probe.terminationGracePeriodSeconds
  await stopContainer(process, ownGrace === undefined ? graceMs : ownGrace * 1000)
}
