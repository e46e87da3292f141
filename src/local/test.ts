import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { childEnvironment } from '../platform/config/environment.ts'
import { readLocalConfig } from '../platform/config/local.ts'
import { planFoundation } from './environment.ts'
import { projectFolder } from './project.ts'

/**
 * npm test: everything that must pass. npm run check: the part without running parts
 * (`--check`). npm run test:faults: the long fault tests alone (`--faults`), with the seed by which
 * they can be repeated. Other arguments are handed to vitest. Ends with one line
 * `N passed, N failed, N skipped`.
 */
type Check = { readonly title: string; readonly program: string; readonly args: readonly string[] }
type Counts = { readonly passed: number; readonly failed: number; readonly skipped: number }

const checks: readonly Check[] = [
  { title: 'format', program: 'oxfmt', args: ['--check', '.'] },
  { title: 'lint', program: 'oxlint', args: ['--deny-warnings'] },
  { title: 'types', program: 'tsc', args: ['-p', 'tsconfig.json'] },
  { title: 'types of inference', program: 'tsc', args: ['-p', 'tsconfig.inference.json'] },
  { title: 'generated files', program: 'node', args: ['tools/crds/generate.ts', '--check'] },
]
const vitestReport = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
  numTodoTests: z.int().default(0),
  numFailedTestSuites: z.int(),
  testResults: z.array(z.object({ name: z.string(), startTime: z.number(), endTime: z.number() })),
})
type Report = z.infer<typeof vitestReport>
/** Files of each lane that are named with their time: who adds a slow one shall see it. */
const slowestShown = 8

const isCheckOnly = process.argv.includes('--check')
const isFaultsOnly = process.argv.includes('--faults')
const filters = process.argv.slice(2).filter((argument) => !/^--(check|faults)$/.test(argument))
/** One for all processes of this run. */
const seed = readLocalConfig().testSeed ?? randomInt(2 ** 31)
process.exitCode = await main()

async function main(): Promise<number> {
  if (isFaultsOnly) print(`seed ${seed}`)
  const failed = await runChecks(isFaultsOnly ? [] : checks)
  if (!isCheckOnly) await prepare()
  const results = await Promise.all(lanes().map(runTests))
  printSlowest(results)
  const isGood = results.every(({ exitCode }) => exitCode === 0) && failed.length === 0
  if (isFaultsOnly && !isGood) print(`again: ATELIER_TEST_SEED=${seed} npm run test:faults`)
  if (!isFaultsOnly) print(failed.length === 0 ? 'checks: all passed' : failedLine(failed))
  const total = (of: keyof Counts): number =>
    results.reduce((sum, { counts }) => sum + counts[of], 0)
  // A failed check counts as a failed test: the last line alone must tell the truth.
  print(
    `${total('passed')} passed, ${total('failed') + failed.length} failed, ${total('skipped')} skipped`,
  )
  return isGood ? 0 : 1
}

function printSlowest(results: readonly Result[]): void {
  const ran = results.filter(({ slowest }) => slowest !== '')
  for (const { title, slowest } of ran) print(`slowest of ${title}: ${slowest}`)
}

function failedLine(failed: readonly string[]): string {
  return `checks failed: ${failed.join(', ')}`
}

/** Titles of those that failed. */
async function runChecks(all: readonly Check[]): Promise<readonly string[]> {
  const failed: string[] = []
  for (const check of all) {
    if ((await run(check)) !== 0) failed.push(check.title)
  }
  return failed
}

/** Once, before the lanes: all of them would build and install the same things at the same time. */
async function prepare(): Promise<void> {
  const config = readLocalConfig()
  const { signal } = new AbortController()
  if (config.testEnvironmentFile === undefined) await planFoundation(config, signal)
}

/** Each lane has real parts of its own and waits for them much of its time: they run side by side. */
function lanes(): readonly Lane[] {
  if (isCheckOnly) return [{ title: 'tests', args: [...projects('unit'), 'test/tidy.test.ts'] }]
  if (isFaultsOnly) {
    const files = filters.length > 0 ? filters : ['test/fault/']
    return [{ title: 'tests: faults', args: [...projects('faults'), ...files] }]
  }
  if (filters.length > 0) return [{ title: 'tests', args: filters }]
  return [
    { title: 'tests: api', args: projects('api') },
    { title: 'tests: unit and cluster', args: projects('unit', 'cluster') },
    { title: 'tests: inference and faults', args: projects('inference', 'faults') },
  ]
}

function projects(...names: readonly string[]): readonly string[] {
  return names.flatMap((name) => ['--project', name])
}

type Lane = { readonly title: string; readonly args: readonly string[] }
type Result = {
  readonly title: string
  readonly exitCode: number
  readonly counts: Counts
  /** One line; empty when no file has run. */
  readonly slowest: string
}

async function runTests({ title, args }: Lane): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'atelier-report-'))
  const file = join(folder, 'report.json')
  const exitCode = await run({
    title,
    program: 'vitest',
    args: ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...args],
  })
  const text = await readFile(file, 'utf8').catch(() => undefined)
  await rm(folder, { recursive: true, force: true })
  const report = text === undefined ? undefined : vitestReport.parse(JSON.parse(text))
  return { title, exitCode, counts: countsOf(report, exitCode), slowest: slowestOf(report) }
}

function countsOf(report: Report | undefined, exitCode: number): Counts {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 }
  // A file that does not load, or a set-up that fails, has no failed test of its own.
  const silent = exitCode !== 0 && report.numFailedTests === 0 ? 1 : 0
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + silent,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

function slowestOf({ testResults = [] }: Partial<Report> = {}): string {
  return testResults
    .map(({ name, startTime, endTime }) => ({ name, seconds: (endTime - startTime) / 1000 }))
    .toSorted((one, other) => other.seconds - one.seconds)
    .slice(0, slowestShown)
    .map(({ name, seconds }) => `${relative(projectFolder, name)} ${Math.round(seconds)} s`)
    .join(', ')
}

function run({ title, program, args }: Check): Promise<number> {
  print(`▸ ${title}`)
  const path =
    program === 'node' ? process.execPath : join(projectFolder, 'node_modules/.bin', program)
  const child = spawn(path, args, {
    cwd: projectFolder,
    stdio: 'inherit',
    env: childEnvironment({ ATELIER_TEST_SEED: String(seed) }),
  })
  // The terminal sends Ctrl-C to the child too; we end when it has cleaned up.
  process.on('SIGINT', () => undefined)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
