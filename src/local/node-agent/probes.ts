import { type ExecFileOptions, execFile } from 'node:child_process'
import { sleep } from '../../platform/clock/sleep.ts'
import { rewritePath } from './path-rewriting.ts'
import type { Container, Probe } from './pod.ts'
import type { ProcessPlan } from './process-plan.ts'

/** What a probe needs to know of the container that it looks at. */
export type ProbeTarget = {
  readonly container: Container
  readonly address: string
  readonly plan: ProcessPlan
}

type Thresholds = Pick<Probe, 'successThreshold' | 'failureThreshold'>
export type ProbeCount = { readonly succeeded: boolean; readonly inRow: number }

/** Counts results in a row. */
export function countResult(before: ProbeCount | undefined, succeeded: boolean): ProbeCount {
  const inRow = before?.succeeded === succeeded ? before.inRow + 1 : 1
  return { succeeded, inRow }
}

/** Whether the results in a row are enough for a verdict. Kubernetes' defaults: 1 and 3. */
export function isVerdict(count: ProbeCount, thresholds: Thresholds): boolean {
  const needed = count.succeeded
    ? (thresholds.successThreshold ?? 1)
    : (thresholds.failureThreshold ?? 3)
  return count.inRow >= needed
}

/** Probes until the signal fires and yields each time the verdict changes. */
export async function* probeVerdicts(
  probe: Probe,
  target: ProbeTarget,
  signal: AbortSignal,
): AsyncGenerator<boolean> {
  let count: ProbeCount | undefined
  let verdict: boolean | undefined
  await sleep((probe.initialDelaySeconds ?? 0) * 1000, signal)
  while (!signal.aborted) {
    const succeeded = await probeOnce(probe, target, signal)
    if (signal.aborted) return
    count = countResult(count, succeeded)
    if (isVerdict(count, probe) && verdict !== succeeded) {
      verdict = succeeded
      yield succeeded
    }
    await sleep((probe.periodSeconds ?? 10) * 1000, signal)
  }
}

async function probeOnce(probe: Probe, target: ProbeTarget, signal: AbortSignal): Promise<boolean> {
  const timeout = AbortSignal.timeout((probe.timeoutSeconds ?? 1) * 1000)
  const limit = AbortSignal.any([signal, timeout])
  try {
    if (probe.httpGet !== undefined) return await probeHttp(probe.httpGet, target, limit)
    return await probeCommand(probe.exec?.command, target, limit)
  } catch {
    return false
  }
}

async function probeHttp(
  action: NonNullable<Probe['httpGet']>,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<boolean> {
  const host = action.host ?? target.address
  const path = action.path ?? '/'
  const url = `http://${host}:${portNumber(action.port, target.container)}${path}`
  const headers = (action.httpHeaders ?? []).map(({ name, value }): [string, string] => [
    name,
    value,
  ])
  const answer = await fetch(url, { headers, redirect: 'manual', signal })
  await answer.body?.cancel()
  return answer.status >= 200 && answer.status < 400
}

async function probeCommand(
  command: readonly string[] | undefined,
  { plan }: ProbeTarget,
  signal: AbortSignal,
): Promise<boolean> {
  const parts = (command ?? []).map((part) => rewritePath(part, plan.rewrites))
  const [program = 'true', ...args] = parts
  return await new Promise((resolve) => {
    const options: ExecFileOptions = {
      cwd: plan.workingFolder,
      env: plan.environment,
      signal,
      killSignal: 'SIGKILL',
    }
    execFile(program, args, options, (error) => resolve(error === null))
  })
}

/** Ports may be given by the name of one of the container's ports. */
export function portNumber(port: unknown, container: Container): number {
  if (typeof port === 'number') return port
  const named = (container.ports ?? []).find((candidate) => candidate.name === port)
  return named?.containerPort ?? Number(port)
}
