import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Pod } from '../../src/platform/kube/resources.ts'
import type { GenerationJob } from '../../src/shared/crd/generation-job.ts'
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

/** The resource of a job that was asked for over REST. */
async function resourceOf(id: string): Promise<GenerationJob> {
  const { resource } = await member.job(id)
  const { namespace = '', name = '' } = resource ?? {}
  const { stdout } = await atelier.kubectl(['get', 'genjob', '-n', namespace, name, '-o', 'json'])
  return JSON.parse(stdout)
}

async function poolPod(name: string): Promise<Pod> {
  const { stdout } = await atelier.kubectl(['get', 'pod', '-n', 'atelier-jobs', name, '-o', 'json'])
  return JSON.parse(stdout)
}

// First: the jobs that it makes are all that there are.
test('docs/operations.md: every command prints what the page says', async () => {
  const { kubectl, kubeconfigPath } = testEnvironment()
  const prelude = `kubectl() { ${[...kubectl, '--kubeconfig', kubeconfigPath].join(' ')} "$@"; }`
  const environment = {
    PATH: process.env['PATH'],
    HOME: atelier.folder,
    ATELIER_URL: atelier.apiUrl,
    TOKEN: lead.token,
  }
  const shell = { prelude, environment }
  const transcripts = await readTranscripts('docs/operations.md')
  expect(transcripts.length).toBeGreaterThan(15)
  for (const transcript of transcripts) {
    const { command } = transcript
    const printsIt = async () => {
      const printed = await runCommand(command, shell)
      expect(normalise({ command, printed })).toMatch(toPattern(transcript))
    }
    // What REST says, Events and logs follow what has happened a moment later.
    if (/^(curl|kubectl (get|describe|logs)) /.test(command)) await eventually(printsIt)
    else await printsIt()
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

test('a pod of a pool that is changed ends its job before it goes', async () => {
  await poolIsReady()
  const parameters = { prompt: 'a photo of a dent on wood', steps: 100, batchCount: 6, seed: 5 }
  const { id } = await member.submit({ task: 'TextToImage', model: 'demo', parameters })
  const before = await eventually(async () => {
    const { status } = await resourceOf(id)
    expect(status?.attempt).toMatchObject({
      number: 1,
      pool: 'demo',
      startTime: expect.any(String),
    })
    return status?.attempt
  })
  const patch = '{"spec":{"drainSeconds":1234}}'
  const change = ['patch', 'atpool', 'demo', '-n', 'atelier-jobs', '--type=merge', '-p', patch]
  expect((await atelier.kubectl(change)).stderr).toBe('')
  await eventually(async () => {
    const { metadata } = await poolPod(before?.podName ?? '')
    expect(metadata.deletionTimestamp).toBeDefined()
  }, 15_000)
  expect(await member.job(id)).toMatchObject({ state: 'Running' })
  const { attempt } = await remainsOf(atelier, lead, id)
  expect(attempt).toMatchObject({ number: 1, podUID: before?.podUID, outcome: 'Completed' })

  await poolIsReady()
  const next = await remainsOf(atelier, lead, await submitJob(member))
  expect(next.attempt).toMatchObject({ number: 1, pool: 'demo' })
  const pod = await poolPod(next.attempt?.podName ?? '')
  expect(pod.metadata.uid).not.toBe(before?.podUID)
  expect(pod.spec?.terminationGracePeriodSeconds).toBe(1234)
}, 120_000)

test('a controller that ends by itself is started again, and jobs go on', async () => {
  const before = atelier.controller.pid()
  process.kill(before, 'SIGKILL')
  const { attempt } = await remainsOf(atelier, lead, await submitJob(member))
  expect(attempt).toMatchObject({ number: 1, outcome: 'Completed' })
  await eventually(() => expect(atelier.controller.pid()).not.toBe(before))
})
