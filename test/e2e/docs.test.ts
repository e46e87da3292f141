import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testEnvironment } from '../support/environment.ts'
import { eventually } from '../support/eventually.ts'
import type { DemoUser } from '../../src/local/demo-accounts.ts'
import { startTestAtelier, type TestAtelier } from '../support/atelier.ts'
import { post } from '../support/rest-session.ts'

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

/**
 * `npm run kubectl -- …` goes to the test's cluster; relative paths are the project's unless said
 * otherwise. Nobody types a code: `read` waits for the file into which the test puts it.
 */
async function runScript(script: string, cwd?: string): Promise<string> {
  const { kubectl, kubeconfigPath } = testEnvironment()
  const one = (role: DemoUser['role']) =>
    atelier.accounts.users.find((user) => user.role === role && user.department === 'vision')
  const [member, admin, superAdmin] = [
    one('department_member'),
    one('department_admin'),
    one('super_admin'),
  ]
  const kubectlLine = [...kubectl, '--kubeconfig', kubeconfigPath].join(' ')
  const prelude = `set -euo pipefail
npm() { shift 3; ${kubectlLine} "$@"; }
read() { until test -s "$PICTURES/code"; do sleep 0.1; done; CODE=$(cat "$PICTURES/code"); }
`
  const { stdout } = await run(
    'bash',
    ['-c', prelude + (cwd === undefined ? inPictures(script) : script)],
    {
      ...(cwd !== undefined && { cwd }),
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        ATELIER_URL: atelier.apiUrl,
        EMAIL: member?.email,
        PASSWORD: member?.password,
        ADMIN_EMAIL: admin?.email,
        ADMIN_PASSWORD: admin?.password,
        SUPER_EMAIL: superAdmin?.email,
        SUPER_PASSWORD: superAdmin?.password,
        PICTURES: folder,
      },
      maxBuffer: 16 * 1024 * 1024,
      timeout: 120_000,
    },
  )
  return stdout
}

/** The api asks the controller for a second only, which is little while both have just started. */
async function controllerAnswers(): Promise<void> {
  const member = await atelier.signIn('department_member')
  const jobs = [{ task: 'TextToImage', model: 'demo', parameters: { prompt: 'a photo of rust' } }]
  await eventually(async () => {
    const answer = await member.request('/v1/simulate', post({ jobs }))
    expect(await answer.json()).toMatchObject({ startsKnown: true })
  })
}

function inPictures(script: string): string {
  return script.replaceAll(/[a-z]+\.png/g, '$PICTURES/$&')
}

test('every line of docs/api.md works as written, from sign-up to a picture', async () => {
  const script = runScript(await scriptOf('docs/api.md', () => true), folder)
  const { code } = await atelier.mailTo('jin@vision.example')
  await writeFile(join(folder, 'code'), code ?? '')
  const stdout = await script
  const picture = await readFile(join(folder, 'first.png'))
  expect(picture.subarray(1, 4).toString('latin1')).toBe('PNG')
  expect(stdout).toContain('"role":"department_member"')
  expect(stdout).toContain('"available":"20"')
  // The key has no right to read the profile.
  expect(stdout).toContain('auth.forbidden')
  expect(stdout).toMatch(/ws:\/\/.*ticket=/)
})

test('every line of docs/credits.md works as written and leaves no drift', async () => {
  const stdout = await runScript(await scriptOf('docs/credits.md', () => true), folder)
  const job: unknown = JSON.parse(await readFile(join(folder, 'paid.json'), 'utf8'))
  expect(job).toMatchObject({ state: 'Completed', cost: { held: '2', charged: '2' } })
  const ledger = await readFile(join(folder, 'ledger.csv'), 'utf8')
  for (const kind of ['Receive', 'Hold', 'Settle', 'Revoke']) expect(ledger).toContain(kind)
  // The drift is the last thing that it prints.
  expect(stdout.trim()).toMatch(/\D0$/)
})

test('every line of docs/rest.md works as written and yields a picture', async () => {
  await controllerAnswers()
  const stdout = await runScript(await scriptOf('docs/rest.md', () => true))
  for (const name of ['picture.png', 'painted.png']) {
    const picture = await readFile(join(folder, name))
    expect(picture.subarray(1, 4).toString('latin1')).toBe('PNG')
  }
  expect(stdout).toContain('hole-in-metal')
  expect(stdout).toContain('"startsKnown":true')
  expect(stdout).toContain('"path":"/parameters/width"')
})

test('every kubectl line of the README works as written', async () => {
  const stdout = await runScript(
    await scriptOf('README.md', (block) => block.includes('npm run kubectl')),
  )
  expect(stdout).toContain('scratch-on-metal')
})
