import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { projectFolder } from '../../src/local/project.ts'
import { childEnvironment } from '../../src/platform/config/environment.ts'

/** The answer is one of those that the document names, in status, type, headers and body. */
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
]
const seed = 20_261_121
const requestSeconds = 30

export type Cases = {
  readonly python: string
  /** Where the api listens; its document is at /openapi.json. */
  readonly url: string
  readonly token: string
  readonly phases: readonly ('examples' | 'fuzzing' | 'stateful')[]
  /** Cases of one operation at most; of a stateful run: sequences of requests. */
  readonly perOperationMax: number
  readonly only?: readonly string[]
  readonly except?: readonly string[]
  readonly signal: AbortSignal
}

export type Outcome = { readonly exitCode: number | null; readonly report: string }

/** Runs schemathesis once; the same seed makes the same cases of the same document. */
export async function runSchemathesis(cases: Cases): Promise<Outcome> {
  // It looks for settings in the folders above, and leaves files behind.
  const folder = await mkdtemp(join(tmpdir(), 'atelier-schemathesis-'))
  try {
    const child = spawn(cases.python, argumentsOf(cases), {
      cwd: folder,
      env: childEnvironment({
        PYTHONPATH: join(projectFolder, 'test/schemathesis'),
        PYTHONDONTWRITEBYTECODE: '1',
        SCHEMATHESIS_HOOKS: 'hooks',
        NO_PROXY: '127.0.0.1',
      }),
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: cases.signal,
    })
    const exited = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    const [report, errors, exitCode] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      exited,
    ])
    return { exitCode, report: `${report}${errors}` }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function argumentsOf(cases: Cases): string[] {
  const { url, token, phases, perOperationMax, only = [], except = [] } = cases
  return [
    '-m',
    'schemathesis.cli',
    'run',
    `${url}/openapi.json`,
    `--url=${url}`,
    `--header=Authorization: Bearer ${token}`,
    `--checks=${checks.join(',')}`,
    `--phases=${phases.join(',')}`,
    `--max-examples=${perOperationMax}`,
    `--seed=${seed}`,
    '--generation-database=none',
    `--request-timeout=${requestSeconds}`,
    '--continue-on-failure',
    '--no-shrink',
    '--no-color',
    '--warnings=off',
    ...only.map((operation) => `--include-operation-id=${operation}`),
    ...except.map((operation) => `--exclude-operation-id=${operation}`),
  ]
}
