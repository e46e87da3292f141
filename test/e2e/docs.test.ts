import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testEnvironment } from '../support/environment.ts'
import { startTestAtelier, type TestAtelier } from '../support/atelier.ts'

const run = promisify(execFile)
let atelier: TestAtelier
let folder: string
beforeAll(async () => {
  atelier = await startTestAtelier(testEnvironment())
  folder = await mkdtemp(join(tmpdir(), 'atelier-docs-'))
})
afterAll(async () => {
  await atelier.stop()
  await rm(folder, { recursive: true, force: true })
})

/** The lines of all ```sh blocks of a page, as one script: later blocks use earlier variables. */
async function scriptOf(path: string, keep: (block: string) => boolean): Promise<string> {
  const text = await readFile(path, 'utf8')
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)]
    .map((match) => match[1] ?? '')
    .filter(keep)
    .join('\n')
}

/** `npm run kubectl -- …` goes to the test's cluster; relative paths are the project's. */
async function runScript(script: string): Promise<string> {
  const { kubectl, kubeconfigPath } = testEnvironment()
  const member = atelier.accounts.users.find(({ role }) => role === 'department_member')
  const kubectlLine = [...kubectl, '--kubeconfig', kubeconfigPath].join(' ')
  const prelude = `set -euo pipefail
npm() { shift 3; ${kubectlLine} "$@"; }
`
  const { stdout } = await run(
    'bash',
    ['-c', prelude + script.replaceAll(/[a-z]+\.png/g, '$PICTURES/$&')],
    {
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        ATELIER_URL: atelier.apiUrl,
        EMAIL: member?.email,
        PASSWORD: member?.password,
        PICTURES: folder,
      },
      maxBuffer: 16 * 1024 * 1024,
      timeout: 120_000,
    },
  )
  return stdout
}

test('every line of docs/rest.md works as written and yields a picture', async () => {
  const stdout = await runScript(await scriptOf('docs/rest.md', () => true))
  for (const name of ['picture.png', 'painted.png']) {
    const picture = await readFile(join(folder, name))
    expect(picture.subarray(1, 4).toString('latin1')).toBe('PNG')
  }
  expect(stdout).toContain('hole-in-metal')
  expect(stdout).toContain('"path":"/parameters/width"')
})

test('every kubectl line of the README works as written', async () => {
  const stdout = await runScript(
    await scriptOf('README.md', (block) => block.includes('npm run kubectl')),
  )
  expect(stdout).toContain('scratch-on-metal')
})
