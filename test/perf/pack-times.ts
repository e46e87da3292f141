import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { describeTimes, medianOf, printRow, printTitle } from './print.ts'

const run = promisify(execFile)

/** What inference-pack.ts measures in a process of its own. */
export type PackTimes = {
  /** Resident memory: with the library only, with the UNet's session, with the whole model. */
  readonly emptyBytes: number
  readonly sessionBytes: number
  readonly modelBytes: number
  readonly peakBytes: number
  readonly sessionMs: number
  readonly modelMs: number
  readonly unetMs: readonly number[]
  readonly bareMs: readonly number[]
  /** Processor time of all threads in the same passes. */
  readonly unetCpuMs: readonly number[]
  readonly bareCpuMs: readonly number[]
  readonly schedulerMs: readonly number[]
  readonly decodeMs: readonly number[]
  readonly pictureMs: readonly number[]
  readonly verifyMs: number
}

export type PackRun = {
  readonly folder: string
  readonly side: number
  readonly steps: number
  /** UNet passes of each kind. */
  readonly passes: number
  /** Pictures with the model loaded, and as many by a whole process each. */
  readonly pictures: number
}

/** onnxruntime lives in a process of its own, as everywhere in the product. */
export async function measurePack(pack: PackRun): Promise<PackTimes> {
  const args = [pack.folder, pack.side, pack.steps, pack.passes, pack.pictures].map(String)
  const { stdout } = await run(process.execPath, ['test/perf/inference-pack.ts', ...args])
  return JSON.parse(stdout)
}

/** A picture from nothing: process, model, picture, PNG. */
export async function measureWholeProcess(pack: PackRun): Promise<readonly number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'atelier-bench-'))
  const options = Object.entries({
    model: pack.folder,
    prompt: 'a photo of a scratch on metal',
    output: join(folder, 'picture.png'),
    seed: '1',
    width: String(pack.side),
    height: String(pack.side),
    steps: String(pack.steps),
    guidance: '3',
    scheduler: 'DPM++ 2M Karras',
  })
  const cli = ['src/inference/cli.ts', ...options.flatMap(([name, value]) => [`--${name}`, value])]
  const times: number[] = []
  for (let index = 0; index < pack.pictures; index += 1) {
    const startedMs = performance.now()
    await run(process.execPath, cli)
    times.push(performance.now() - startedMs)
  }
  await rm(folder, { recursive: true, force: true })
  return times
}

export function printPack(pack: PackRun, times: PackTimes): void {
  printTitle(`${pack.folder}, ${pack.side}×${pack.side}`)
  printRow('UNet session ready', `${times.sessionMs.toFixed(0)} ms`)
  printRow('  memory then (library alone)', bytes(times.sessionBytes, times.emptyBytes))
  printRow('whole model ready', `${times.modelMs.toFixed(0)} ms`)
  printRow('  memory then (library alone)', bytes(times.modelBytes, times.emptyBytes))
  printRow('digests of all files', `${times.verifyMs.toFixed(0)} ms`)
  printRow('one UNet pass (batch 1)', describeTimes(times.unetMs))
  printRow('the same by a bare onnxruntime call', describeTimes(times.bareMs))
  printRow('overhead', describeOverhead(times))
  printRow('scheduler, one step', describeTimes(times.schedulerMs))
  printRow('VAE decode', describeTimes(times.decodeMs))
  printRow(`one picture of ${pack.steps} steps, warm`, describeTimes(times.pictureMs))
  printRow('peak memory of that process', `${(times.peakBytes / 2 ** 30).toFixed(2)} GiB`)
}

/** Processor time tells it best: the clock counts whatever else the machine does. */
function describeOverhead({ unetMs, bareMs, unetCpuMs, bareCpuMs }: PackTimes): string {
  const cpu = percent(medianOf(unetCpuMs) / medianOf(bareCpuMs))
  return `${cpu} of processor time, ${percent(medianOf(unetMs) / medianOf(bareMs))} by the clock`
}

function percent(ratio: number): string {
  return `${((ratio - 1) * 100).toFixed(1)} %`
}

function bytes(then: number, before: number): string {
  return `${(then / 2 ** 20).toFixed(0)} MiB (${(before / 2 ** 20).toFixed(0)} MiB)`
}
