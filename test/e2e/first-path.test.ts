import { decode } from 'fast-png'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JobView } from '../../src/shared/wire/jobs.ts'
import { pollUntil, startTestAtelier, type TestAtelier } from '../support/atelier.ts'
import { testEnvironment } from '../support/environment.ts'
import { applyJob, remainsOf, submitJob } from '../support/job-remains.ts'

let atelier: TestAtelier
beforeAll(async () => {
  atelier = await startTestAtelier(testEnvironment())
})
afterAll(async () => await atelier.stop())

const request = {
  task: 'TextToImage',
  model: 'demo',
  parameters: { prompt: 'a photo of a scratch on metal', seed: 7 },
} as const

const sample = (changes: { namespace: string; department: string; name: string }) => `
apiVersion: atelier.dev/v1alpha1
kind: GenerationJob
metadata: { name: ${changes.name}, namespace: ${changes.namespace} }
spec:
  owner: { department: ${changes.department} }
  task: TextToImage
  modelRef: { name: demo }
  parameters: { prompt: a photo of a dent on wood, seed: 3, steps: 4 }
`

type Resource = {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly reason: string }[]
  }
}

async function reasonOf(namespace: string, name: string): Promise<string | undefined> {
  const { stdout } = await atelier.kubectl(['get', 'genjob', '-n', namespace, name, '-o', 'json'])
  const resource: Resource = JSON.parse(stdout === '' ? '{}' : stdout)
  return resource.status?.conditions?.find(({ type }) => type === 'Succeeded')?.reason
}

describe('a picture asked for over REST', () => {
  let first: JobView | undefined
  test('is made by a scheduled pod, stored, charged and visible with kubectl', async () => {
    const member = await atelier.signIn('department_member')
    const accepted = await member.submit(request)
    expect(accepted.cost.held).toBe('1')
    const job = await pollUntil(
      async () => await member.job(accepted.id),
      ({ state }) => state === 'Completed',
    )
    first = job
    expect(job.cost.charged).toBe('1')
    const [output] = job.outputs
    const picture = await fetch(new URL(output?.url ?? '', atelier.apiUrl))
    const { width, height, text } = decode(await picture.bytes())
    expect([width, height]).toEqual([64, 64])
    expect(text?.['parameters']).toContain('a photo of a scratch on metal')
    expect(text?.['parameters']).toContain('Seed: 7')

    const wide = await atelier.kubectl(['get', 'genjob', '-A', '-o', 'wide'])
    const line = wide.stdout.split('\n').find((one) => one.includes(`gj-${accepted.id}`))
    expect(line).toContain('Completed')
  })

  test('has the same bytes for the same request, and is nobody else’s business', async () => {
    const member = await atelier.signIn('department_member')
    const { id } = await member.submit(request)
    const again = await pollUntil(
      async () => await member.job(id),
      ({ state }) => state === 'Completed',
    )
    expect(again.outputs[0]?.sha256).toBe(first?.outputs[0]?.sha256)
    const other = await atelier.signIn('department_member', 'assembly')
    const answer = await other.request(`/v1/jobs/${id}`)
    expect(answer.status).toBe(404)
  })

  test('is shown live: the snapshot first, progress, the end last', async () => {
    const member = await atelier.signIn('department_member')
    const accepted = await member.submit({
      ...request,
      parameters: { ...request.parameters, batchCount: 3 },
    })
    const stream = await member.request(accepted.urls.events, {
      headers: { accept: 'text/event-stream' },
      signal: AbortSignal.timeout(60_000),
    })
    const events = parseEvents(await stream.text())
    expect(events[0]?.name).toBe('job')
    expect(events.some(({ name }) => name === 'progress')).toBe(true)
    expect(events.at(-1)).toMatchObject({ name: 'job', data: { state: 'Completed' } })
  })
})

describe('a job applied with kubectl', () => {
  test('finishes in its department’s namespace and is charged to the department', async () => {
    const place = { namespace: 'vision', department: 'vision', name: 'by-kubectl' }
    const applied = await atelier.kubectl(['apply', '-f', '-'], sample(place))
    expect(applied.stderr).toBe('')
    await pollUntil(
      async () => await reasonOf('vision', 'by-kubectl'),
      (reason) => reason === 'Completed',
    )
    const lead = await atelier.signIn('department_admin')
    const jobs = await pollUntil(
      async () => await lead.jobs(),
      (all) =>
        all.some(({ resource, cost }) => resource?.name === 'by-kubectl' && cost.charged !== null),
    )
    const job = jobs.find(({ resource }) => resource?.name === 'by-kubectl')
    expect(job?.cost.charged).toBe('1')
    expect(job?.owner).toEqual({ department: 'vision' })
  })

  test('leaves the same status, history and entries as one of REST', async () => {
    const lead = await atelier.signIn('department_admin')
    const member = await atelier.signIn('department_member')
    const ids = await Promise.all([submitJob(member), applyJob(atelier, 'same-as-rest')])
    const [rest, applied] = await Promise.all(
      ids.map(async (id) => await remainsOf(atelier, lead, id)),
    )
    expect(rest?.attempt?.podUID).not.toBe(applied?.attempt?.podUID)
    expect(rest?.remains).toEqual(applied?.remains)
  })

  test('can be looked into: every Node serves the logs of its pods', async () => {
    const query = 'jsonpath={.items[*].status.daemonEndpoints.kubeletEndpoint.Port}'
    const { stdout } = await atelier.kubectl([
      'get',
      'nodes',
      '-l',
      'atelier.dev/process-node',
      '-o',
      query,
    ])
    expect(stdout).toMatch(/^[1-9]\d+( [1-9]\d+)*$/)
  })

  test('is refused in the namespace of another department', async () => {
    const place = { namespace: 'assembly', department: 'vision', name: 'foreign' }
    const refused = await atelier.kubectl(['apply', '-f', '-'], sample(place))
    expect(refused.exitCode).not.toBe(0)
    expect(refused.stderr).toContain('spec.owner.department')
  })

  test('is refused where no department lives', async () => {
    const place = { namespace: 'atelier-jobs', department: 'vision', name: 'nowhere' }
    const refused = await atelier.kubectl(['apply', '-f', '-'], sample(place))
    expect(refused.exitCode).not.toBe(0)
  })

  test('ends with a condition, not a crash, when its model does not exist', async () => {
    const place = { namespace: 'vision', department: 'vision', name: 'no-model' }
    const text = sample(place).replace('{ name: demo }', '{ name: nothing-like-it }')
    await atelier.kubectl(['apply', '-f', '-'], text)
    const wide = await pollUntil(
      async () =>
        (await atelier.kubectl(['get', 'genjob', '-n', 'vision', 'no-model', '-o', 'json'])).stdout,
      (stdout) => stdout.includes('ModelNotFound'),
    )
    expect(wide).toContain('nothing-like-it')
    await atelier.kubectl(['delete', 'genjob', '-n', 'vision', 'no-model'])
  })
})

describe('cancelling', () => {
  test('half-way leaves Cancelled, no pod and an ended hold', async () => {
    const member = await atelier.signIn('department_member')
    const long = { ...request, parameters: { ...request.parameters, steps: 100, batchCount: 100 } }
    const { id } = await member.submit(long)
    await pollUntil(
      async () => await member.job(id),
      ({ progress }) => (progress?.stepsDone ?? 0) > 0,
    )
    expect((await member.cancel(id)).ok).toBe(true)
    const ended = await pollUntil(
      async () => await member.job(id),
      ({ state, cost }) => state === 'Cancelled' && cost.charged !== null,
    )
    expect(Number(ended.cost.charged)).toBeLessThan(100)
    expect(await reasonOf('atelier-jobs', `gj-${id}`)).toBe('Cancelled')
    const uid = await atelier.kubectl([
      'get',
      'genjob',
      '-n',
      'atelier-jobs',
      `gj-${id}`,
      '-o',
      'jsonpath={.metadata.uid}',
    ])
    const own = ['get', 'pods,jobs', '-A', '-l', `atelier.dev/job-uid=${uid.stdout}`, '-o', 'name']
    // The Job goes a moment after its pods.
    await pollUntil(
      async () => (await atelier.kubectl(own)).stdout,
      (stdout) => stdout === '',
    )
    const admin = await atelier.signIn('super_admin')
    const audit = await (await admin.request('/v1/system/audit')).json()
    expect(audit).toMatchObject({ drift: 0 })
  })
})

function parseEvents(text: string): readonly { readonly name: string; readonly data: unknown }[] {
  return text
    .split('\n\n')
    .map((block) => ({
      name: /^event: (.*)$/m.exec(block)?.[1] ?? '',
      data: /^data: (.*)$/m.exec(block)?.[1],
    }))
    .flatMap(({ name, data }) => (data === undefined ? [] : [{ name, data: JSON.parse(data) }]))
}
