import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestAtelier, type TestAtelier } from '../support/atelier.ts'
import { normalise, readTranscripts, runCommand, toPattern } from '../support/console-blocks.ts'
import { testEnvironment } from '../support/environment.ts'
import { eventually } from '../support/eventually.ts'
import { applyJob, remainsOf, submitJob } from '../support/job-remains.ts'
import type { RestSession } from '../support/rest-session.ts'

let atelier: TestAtelier
let member: RestSession
let lead: RestSession
beforeAll(async () => {
  atelier = await startTestAtelier(testEnvironment(), { demoPool: true })
  member = await atelier.signIn('department_member')
  lead = await atelier.signIn('department_admin')
})
afterAll(async () => await atelier.stop())

/** Waits until a pod of the demo pool takes jobs. */
async function poolIsReady(): Promise<void> {
  const ready = '--for=jsonpath={.status.readyReplicas}=1'
  const wait = ['wait', '-n', 'atelier-jobs', 'atpool/demo', ready, '--timeout=60s']
  expect((await atelier.kubectl(wait)).stderr).toBe('')
}

// First: the jobs that it makes are all that there are.
test('docs/operations.md: every command prints what the page says', async () => {
  const { kubectl, kubeconfigPath } = testEnvironment()
  const prelude = `kubectl() { ${[...kubectl, '--kubeconfig', kubeconfigPath].join(' ')} "$@"; }`
  const shell = { prelude, environment: { PATH: process.env['PATH'], HOME: atelier.folder } }
  const transcripts = await readTranscripts('docs/operations.md')
  expect(transcripts.length).toBeGreaterThan(15)
  for (const transcript of transcripts) {
    const { command } = transcript
    const printed = await runCommand(command, shell)
    expect(normalise({ command, printed })).toMatch(toPattern(transcript))
  }
}, 120_000)

test('a job of REST and one of kubectl in the same warm pod leave the same', async () => {
  await poolIsReady()
  const rest = await remainsOf(atelier, lead, await submitJob(member))
  const applied = await remainsOf(atelier, lead, await applyJob(atelier, 'pooled'))
  expect([rest.attempt?.pool, applied.attempt?.pool]).toEqual(['demo', 'demo'])
  expect(rest.attempt?.podUID).toBe(applied.attempt?.podUID)
  expect(rest.remains).toEqual(applied.remains)
  expect(rest.remains.entries).toMatchObject([{ kind: 'Settle' }, { kind: 'Hold' }])
})

test('a controller that ends by itself is started again, and jobs go on', async () => {
  const before = atelier.controller.pid()
  process.kill(before, 'SIGKILL')
  const { attempt } = await remainsOf(atelier, lead, await submitJob(member))
  expect(attempt).toMatchObject({ number: 1, outcome: 'Completed' })
  await eventually(() => expect(atelier.controller.pid()).not.toBe(before))
})
