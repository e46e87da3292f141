import { cpus, totalmem } from 'node:os'
import process from 'node:process'
import { openTestFoundation } from '../support/foundation.ts'
import { startTestAtelier } from '../support/atelier.ts'
import { measureInference } from './inference.ts'
import { measureJobs } from './jobs.ts'
import { measureMemory } from './memory.ts'
import { printRow, printTitle } from './print.ts'

/**
 * `npm run bench`: what a job costs, printed with the conditions. Figures of one run are to be
 * compared with each other; machines differ and are noisy.
 */
printTitle('Conditions')
printRow('processor', `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`)
printRow('memory', `${Math.round(totalmem() / 2 ** 30)} GiB`)
printRow('node', process.version)
printRow('model', 'models/demo, 64×64, 20 steps, DPM++ 2M Karras, guidance 3, CPU')

const alone = await measureInference()
const foundation = await openTestFoundation()
try {
  for (const line of foundation.descriptions) printRow('part', line)
  const atelier = await startTestAtelier(foundation.environment)
  try {
    await measureJobs(atelier, { ...foundation, pictureAloneMs: alone.wholeProcessMs })
    measureMemory([...foundation.processes(), ...atelier.processes()])
  } finally {
    await atelier.stop()
  }
} finally {
  await foundation.stop()
}
