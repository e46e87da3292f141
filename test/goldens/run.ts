import process from 'node:process'
import { describeGroup } from './describe.ts'
import { countCases, runGoldens } from './run-goldens.ts'

const folder = process.argv[2]
if (folder === undefined) {
  process.stderr.write('usage: npm run goldens -- FOLDER\n')
  process.exit(2)
}
const results = await runGoldens(folder, (group) => {
  process.stdout.write(`${describeGroup(group)}\n`)
})
const { passed, failed, skipped } = countCases(results)
process.stdout.write(`passed ${passed} failed ${failed} skipped ${skipped}\n`)
process.exitCode = failed > 0 || passed + skipped === 0 ? 1 : 0
