import { existsSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { manifestName } from '../../src/inference/models/manifest.ts'
import { cpuBudget } from '../../src/inference/runtime/cpu-budget.ts'
import { measureInference } from './inference.ts'
import { measurePack, measureWholeProcess, printPack } from './pack-times.ts'
import { describeTimes, printRow, printTitle } from './print.ts'

/**
 * `npm run bench:inference [-- FOLDER]`: what the engine costs, with the conditions. FOLDER is a
 * pack in the shape of Stable Diffusion 1.5 (tools/bench-model/make.py), also taken from
 * ATELIER_BENCH_MODEL. Figures of one run are to be compared with each other; machines differ.
 */
const loads = () => loadavg().map((load) => load.toFixed(2))
printTitle('Conditions')
printRow('processor', `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`)
printRow('threads of onnxruntime', String(cpuBudget()))
printRow('memory', `${Math.round(totalmem() / 2 ** 30)} GiB`)
printRow('node, onnxruntime-node', `${process.version}, ${await runtimeVersion()}`)
printRow('load average (1, 5, 15 min) before', loads().join(' '))

await measureInference()
const folder = process.argv[2] ?? process.env['ATELIER_BENCH_MODEL'] ?? ''
if (existsSync(join(folder, manifestName)) && folder !== '') {
  const pack = { folder, side: 512, steps: 2, passes: 3, pictures: 1 }
  printPack(pack, await measurePack(pack))
  const times = await measureWholeProcess(pack)
  printRow(`one picture of ${pack.steps} steps, cold`, describeTimes(times))
} else {
  printTitle('Stable Diffusion 1.5 at 512×512: NOT MEASURED')
  const where = folder === '' ? 'no folder was given' : `${folder} has no ${manifestName}`
  process.stdout.write(`  ${where}; tools/bench-model/make.py makes such a pack\n`)
}
printRow('load average (1, 5, 15 min) after', loads().join(' '))

async function runtimeVersion(): Promise<string> {
  const { env } = await import('onnxruntime-node')
  return env.versions.node ?? 'unknown'
}
