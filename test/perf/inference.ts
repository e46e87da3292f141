import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describeTimes, medianOf, printRow, printTitle } from './print.ts'

const run = promisify(execFile)
const runs = 7

/** The picture without cluster: as a whole process, and its parts inside one process. */
export async function measureInference(): Promise<{ readonly wholeProcessMs: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'atelier-bench-'))
  const prompt = 'a photo of a scratch on metal'
  const output = join(folder, 'picture.png')
  const options = Object.entries({ model: 'models/demo', prompt, output, seed: '1' })
  const cli = ['src/inference/cli.ts', ...options.flatMap(([name, value]) => [`--${name}`, value])]
  const times: number[] = []
  for (let index = 0; index < runs; index += 1) {
    const startedMs = performance.now()
    await run(process.execPath, cli)
    times.push(performance.now() - startedMs)
  }
  await rm(folder, { recursive: true, force: true })
  // onnxruntime lives in a process of its own, as everywhere in the product.
  const { stdout } = await run(process.execPath, ['test/perf/unet-step.ts'])
  const parts: { unetMs: number[]; pictureMs: number[]; bareMs: number[] } = JSON.parse(stdout)
  printTitle('Inference alone')
  printRow('one UNet step (one pass, batch 1)', describeTimes(parts.unetMs))
  printRow('the same by a bare onnxruntime call', describeTimes(parts.bareMs))
  const overhead = medianOf(parts.unetMs) / medianOf(parts.bareMs) - 1
  printRow('overhead', `${(overhead * 100).toFixed(1)} %`)
  printRow('one picture, model loaded', describeTimes(parts.pictureMs))
  printRow('one picture, whole process', describeTimes(times))
  return { wholeProcessMs: medianOf(times) }
}
