import { describeTimes, medianOf, printRow } from './print.ts'
import { measurePack, measureWholeProcess, printPack } from './pack-times.ts'

const demo = { folder: 'models/demo', side: 64, steps: 20, passes: 100, pictures: 7 }

/** The demo model's picture without cluster: its parts inside one process, and a whole process. */
export async function measureInference(): Promise<{ readonly wholeProcessMs: number }> {
  printPack(demo, await measurePack(demo))
  const times = await measureWholeProcess(demo)
  printRow('one picture, cold (whole process)', describeTimes(times))
  return { wholeProcessMs: medianOf(times) }
}
