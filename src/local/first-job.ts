import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../shared/errors.ts'
import type { JobView } from '../shared/wire/jobs.ts'
import { elapsed, printLine } from './bootstrap/steps.mjs'
import type { DemoAccounts } from './demo-accounts.ts'
import { hasEnded, signIn } from './rest-client.ts'

const timeoutMs = 180_000
const barWidth = 24

export type FirstJob = {
  readonly apiUrl: string
  readonly accounts: DemoAccounts
  readonly prompt: string
  readonly outputPath: string
  readonly idempotencyKey: string
  readonly signal: AbortSignal
}

/** Signs in as a member, asks for one picture, shows its progress and writes the PNG. */
export async function makeFirstPicture(options: FirstJob): Promise<JobView> {
  const member = options.accounts.users.find(({ role }) => role === 'department_member')
  if (member === undefined) throw new AppError('platform.misconfigured', 'no demo member')
  const startedMs = performance.now()
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)])
  const client = await signIn(options.apiUrl, member, signal)
  const { prompt } = options
  const request = { task: 'TextToImage', model: 'demo', parameters: { prompt } } as const
  const accepted = await client.submit(request, options.idempotencyKey)
  printLine(`  job ${accepted.id} of ${member.email}: “${prompt}”`)
  let job = accepted
  const show = progressPrinter()
  for await (const next of client.watch(accepted)) {
    job = next
    show(job)
  }
  const [output] = job.outputs
  if (!hasEnded(job) || job.state !== 'Completed' || output === undefined) {
    throw new AppError('platform.unavailable', `the first job ended without a picture: ${why(job)}`)
  }
  await mkdir(dirname(options.outputPath), { recursive: true })
  await writeFile(options.outputPath, await client.download(output.url))
  const cost = job.cost.charged ?? '0'
  printLine(`  ✓ picture in ${elapsed(performance.now() - startedMs)}, ${cost} credits charged`)
  return job
}

/** A bar on one rewritten line of a terminal; elsewhere one line per change of stage. */
function progressPrinter(): (job: JobView) => void {
  let shown = ''
  return (job) => {
    const stage = job.progress?.stage ?? job.reason
    if (process.stderr.isTTY) process.stderr.write(`\r\u001B[2K  … ${progressText(job)}`)
    else if (stage !== shown) printLine(`  … ${progressText(job)}`)
    shown = stage
  }
}

/** `Denoising  ████████░░░░  12/20`, or state and reason before there is progress. */
export function progressText(job: JobView): string {
  const { progress } = job
  if (progress === null || job.state !== 'Running') return `${job.state} (${job.reason})`
  const share = progress.steps === 0 ? 0 : progress.step / progress.steps
  const full = Math.min(barWidth, Math.round(share * barWidth))
  const bar = '█'.repeat(full) + '░'.repeat(barWidth - full)
  return `${progress.stage.padEnd(14)} ${bar} ${progress.step}/${progress.steps}`
}

function why({ state, reason, message }: JobView): string {
  return `${state} (${reason}) ${message}`
}
