import { type ExecFileOptions, execFile } from 'node:child_process'
import { sleep } from '../../platform/clock/sleep.ts'
import { type ProcessPlan, rewritePath } from './container-plan.ts'
import type { Container, Probe } from './pod.ts'

/** What a probe needs to know of the container that it looks at. */
export type ProbeTarget = {
  readonly container: Container
  readonly address: string
  readonly plan: () => Promise<ProcessPlan>
  /** Fires when the container has ended. */
  readonly signal: AbortSignal
}

type Thresholds = Pick<Probe, 'successThreshold' | 'failureThreshold'>
export type ProbeCount = { readonly succeeded: boolean; readonly inRow: number }

/** Counts results in a row. */
export function countResult(before: ProbeCount | undefined, succeeded: boolean): ProbeCount {
  const inRow = before?.succeeded === succeeded ? before.inRow + 1 : 1
  return { succeeded, inRow }
}

/** Whether the results in a row have just become enough. Kubernetes' defaults: 1 and 3. */
export function isVerdict({ succeeded, inRow }: ProbeCount, thresholds: Thresholds): boolean {
  const { successThreshold = 1, failureThreshold = 3 } = thresholds
  return inRow === (succeeded ? successThreshold : failureThreshold)
}

/** Probes until the signal fires; `onVerdict` hears each verdict once. */
export async function watchProbe(
  probe: Probe,
  target: ProbeTarget,
  onVerdict: (succeeded: boolean) => void,
): Promise<void> {
  const { signal } = target
  let count: ProbeCount | undefined
  await sleep((probe.initialDelaySeconds ?? 0) * 1000, signal)
  while (!signal.aborted) {
    count = countResult(count, await probeOnce(probe, target))
    if (signal.aborted) return
    if (isVerdict(count, probe)) onVerdict(count.succeeded)
    await sleep((probe.periodSeconds ?? 10) * 1000, signal)
  }
}

async function probeOnce(probe: Probe, target: ProbeTarget): Promise<boolean> {
  const timeout = AbortSignal.timeout((probe.timeoutSeconds ?? 1) * 1000)
  const limit = AbortSignal.any([target.signal, timeout])
  try {
    if (probe.httpGet !== undefined) return await probeHttp(probe.httpGet, target, limit)
    return await probeCommand(probe.exec?.command ?? [], await target.plan(), limit)
  } catch {
    return false
  }
}

async function probeHttp(
  action: NonNullable<Probe['httpGet']>,
  { container, address }: ProbeTarget,
  signal: AbortSignal,
): Promise<boolean> {
  const { host = address, path = '/', httpHeaders = [] } = action
  const named = container.ports?.find(({ name }) => name === String(action.port))
  const port = named?.containerPort ?? String(action.port)
  const headers = httpHeaders.map(({ name, value }): [string, string] => [name, value])
  const url = `http://${host}:${port}${path}`
  const answer = await fetch(url, { headers, redirect: 'manual', signal })
  await answer.body?.cancel()
  return answer.status >= 200 && answer.status < 400
}

async function probeCommand(
  command: readonly string[],
  plan: ProcessPlan,
  signal: AbortSignal,
): Promise<boolean> {
  const [program = 'true', ...args] = command.map((part) => rewritePath(part, plan.rewrites))
  const { workingFolder: cwd, environment: env } = plan
  const options: ExecFileOptions = { cwd, env, signal, killSignal: 'SIGKILL' }
  return await new Promise((resolve) => {
    execFile(program, args, options, (error) => resolve(error === null))
  })
}
