import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { findCondition } from '../../../src/controller/conditions.ts'
import { isInvalid } from '../../../src/platform/kube/errors.ts'
import { createObject, deleteObject, mergePatch } from '../../../src/platform/kube/objects.ts'
import {
  type AnyKind,
  deployments,
  generationJobs,
  jobs,
  pathOf,
} from '../../../src/platform/kube/resources.ts'
import type { GenerationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import { annotations } from '../../../src/shared/names.ts'
import type { Behaviour } from '../../integration/controller/kubelet.ts'
import { poolScene, startPoolKubelet } from '../../integration/controller/pool-scene.ts'
import { completes, messageOf, runs } from '../../integration/controller/scene.ts'
import type { World } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import { longTests } from '../../support/long.ts'
import { faultTimeout, type FaultyWorld, inFaultyWorld, untilCondition } from './faulty-world.ts'
import { kubectl } from './kubectl.ts'

const completed = { type: 'Succeeded', is: 'True/Completed' } as const
const cancelled = { type: 'Succeeded', is: 'False/Cancelled' } as const
const running = { type: 'PodsReady', is: 'True/Running' } as const

describe.concurrent('an object with several owners', { timeout: faultTimeout }, () => {
  it(
    '17: a status write meets five conflicts in a row',
    inFaultyWorld({ behaviour: () => completes }, playConflicts),
  )
  it(
    '18: a human edits a label and fields of the controller with kubectl',
    inFaultyWorld({ gpus: [2], behaviour: () => runs }, playEdits),
  )
  it(
    '19: a spec is edited while its job runs',
    inFaultyWorld({ behaviour: () => runs }, playGeneration),
  )
  it(
    '24: objects that make the reconcile throw stand beside others',
    inFaultyWorld({ gpus: [8], behaviour: poisonous }, playPoison),
  )
})

/** Real ones: each time somebody edits the job between the controller's read and its write. */
async function playConflicts({ world, proxy, startController }: FaultyWorld): Promise<void> {
  await startController()
  const { namespace } = world
  let edits = 0
  const edit = async () => {
    edits += 1
    const patch = {
      metadata: { annotations: { edit: `${edits}` } },
      spec: { priority: 50 + edits },
    }
    await mergePatch(world.admin, generationJobs, { name: 'job', namespace, patch })
  }
  const containing = '/generationjobs/job/status'
  const fault = { kind: 'Delay', until: edit } as const
  proxy.inject({ verb: 'other', method: 'PATCH', containing, fault, times: 5 })
  await world.createJob()
  const job = await untilCondition(world, completed)
  const writes = proxy.requests.filter(({ url }) => url.includes(containing))
  // The watch may still be behind the fifth edit, and then a sixth write is refused as well.
  expect(writes.map(({ status }) => status).join(' ')).toMatch(/^(409 ){5,6}200( 200)*$/)
  expect(job.metadata.annotations).toMatchObject({ edit: '5' })
  expect(job.spec.priority).toBe(55)
  expect(job.metadata.generation).toBe(6)
  expect(job.status?.observedGeneration).toBe(6)
}

const rounds = longTests ? 10 : 3
const managed = z.object({
  metadata: z.object({
    managedFields: z.array(
      z.looseObject({ manager: z.string(), operation: z.string(), fieldsV1: z.unknown() }),
    ),
  }),
})

/** Who owns which fields, without times. */
async function ownersOf(world: World, kind: AnyKind, name: string) {
  const path = pathOf(kind, { namespace: world.namespace, name })
  const { metadata } = managed.parse(await world.admin.request({ method: 'GET', path }))
  return metadata.managedFields
    .map(({ manager, operation, fieldsV1 }) => {
      // Those of the others change with what they observe.
      const ours = manager.startsWith('atelier') ? JSON.stringify(fieldsV1) : ''
      return `${manager} ${operation} ${ours}`
    })
    .toSorted()
}

async function playEdits({ world, startController, onClose }: FaultyWorld): Promise<void> {
  await startController()
  const { admin, namespace } = world
  const poolKubelet = startPoolKubelet(admin, namespace)
  onClose(poolKubelet.stop)
  const pool = poolScene(world, 'warm')
  await pool.create({ minReplicas: 1 })
  await pool.until('True/Ready')
  await world.createJob({ execution: 'Dedicated' })
  await untilCondition(world, running)
  const owners: unknown[] = []
  for (let round = 1; round <= rounds; round += 1) {
    await editJob(world, round)
    await editDeployment(world, pool, round)
    owners.push([
      await ownersOf(world, generationJobs, 'job'),
      await ownersOf(world, deployments, 'pool-warm'),
    ])
  }
  expect(owners.slice(1)).toEqual(owners.slice(1).map(() => owners[0]))
  await world.patchSpec('job', { cancel: true })
  const job = await untilCondition(world, cancelled)
  expect(job.metadata.labels).toMatchObject({ team: `${rounds}` })
  await pool.patch({ metadata: { annotations: { [annotations.stop]: 'true' } } })
  await pool.untilPods(0)
}

async function editJob(world: World, round: number): Promise<void> {
  const { namespace } = world
  const before = await world.getJob('job')
  const lie = { ...findCondition(before.status?.conditions, 'PodsReady'), reason: 'BackingOff' }
  const others = before.status?.conditions?.filter(({ type }) => type !== 'PodsReady') ?? []
  const patch = JSON.stringify({ status: { conditions: [...others, lie] } })
  await kubectl('-n', namespace, 'label', 'genjob', 'job', `team=${round}`, '--overwrite')
  await kubectl('-n', namespace, 'patch', 'genjob', 'job', ...ofStatus, '-p', patch)
  const after = await untilCondition(world, running)
  expect(after.metadata.labels).toMatchObject({ team: `${round}` })
  expect(after.status?.attempt).toEqual(before.status?.attempt)
}

const ofStatus = ['--subresource=status', '--type=merge'] as const

async function editDeployment(
  { namespace }: World,
  pool: ReturnType<typeof poolScene>,
  round: number,
): Promise<void> {
  const before = await pool.deployment()
  const image = 'inference=example.invalid/other'
  await kubectl('-n', namespace, 'label', 'deployment', 'pool-warm', `team=${round}`, '--overwrite')
  await kubectl('-n', namespace, 'set', 'image', 'deployment/pool-warm', image)
  const after = await eventually(async () => {
    const now = await pool.deployment()
    expect(now.spec).toEqual(before.spec)
    return now
  })
  expect(after.metadata.labels).toMatchObject({ ...before.metadata.labels, team: `${round}` })
}

async function playGeneration({ world, proxy, startController }: FaultyWorld): Promise<void> {
  await startController()
  await world.createJob()
  const before = await untilCondition(world, running)
  for (const spec of immutable) {
    await expect(world.patchSpec('job', spec)).rejects.toSatisfy(isInvalid)
  }
  expect((await world.getJob('job')).metadata).toEqual(before.metadata)

  proxy.freezeWatches()
  await world.patchSpec('job', { priority: 60 })
  const lagging = await world.getJob('job')
  expect(lagging.metadata.generation).toBe(2)
  expect(lagging.status).toEqual(before.status)
  expect(lagging.status?.observedGeneration).toBe(1)
  proxy.cutConnections()
  const after = await eventually(async () => {
    const job = await world.getJob('job')
    expect(job.status?.observedGeneration).toBe(2)
    return job
  })
  const conditions = after.status?.conditions ?? []
  expect(conditions).toHaveLength(5)
  expect(conditions.map(({ observedGeneration }) => observedGeneration)).toEqual([2, 2, 2, 2, 2])
  expect(conditions.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual(
    before.status?.conditions?.map(({ lastTransitionTime }) => lastTransitionTime),
  )
  expect(after.status?.attempt).toEqual(before.status?.attempt)

  await world.patchSpec('job', { cancel: true })
  await untilCondition(world, cancelled)
  await expect(world.patchSpec('job', { cancel: false })).rejects.toSatisfy(isInvalid)
}

const immutable: readonly Partial<GenerationJobSpec>[] = [
  { parameters: { prompt: 'another picture' } },
  { modelRef: { name: 'another-model' } },
  { task: 'Inpaint' },
  { owner: { department: 'another' } },
  { execution: 'Dedicated' },
]

const healthy = ['first', 'second', 'third'] as const

function poisonous(_attempt: number, name: string): Behaviour {
  return name === 'unknown' ? runs : completes
}

/** As a newer API server would show them: words and shapes that this controller does not know. */
const shapes: Readonly<Record<string, (spec: Record<string, unknown>) => object>> = {
  mapless: (spec) => ({ ...spec, parameters: undefined }),
  unknown: (spec) => ({ ...spec, task: 'PaintByNumbers' }),
  huge: (spec) => ({ ...spec, parameters: { prompt: 'x'.repeat(2 ** 20) } }),
}
const watchLine = z.looseObject({
  object: z.looseObject({
    metadata: z.looseObject({ name: z.string() }),
    spec: z.record(z.string(), z.unknown()),
  }),
})

function poison(line: string): string {
  if (!line.includes('"kind":"GenerationJob"')) return line
  const { success, data } = watchLine.safeParse(JSON.parse(line))
  const shape = success ? shapes[data.object.metadata.name] : undefined
  if (data === undefined || shape === undefined) return line
  return JSON.stringify({ ...data, object: { ...data.object, spec: shape(data.object.spec) } })
}

async function playPoison({ world, proxy, startController }: FaultyWorld): Promise<void> {
  const failures: { readonly key: unknown; readonly atMs: number }[] = []
  const failuresOf = (name: string) => failures.filter(({ key }) => key === keyOf(world, name))
  const taken = await takeName(world)
  proxy.alterEvents(poison)
  await startController({
    onError: (_error, fields) => {
      failures.push({ key: 'key' in fields ? fields.key : undefined, atMs: performance.now() })
    },
  })
  for (const name of ['first', 'mapless', 'unknown', 'second', 'huge', 'third']) {
    await world.createJob({ execution: 'Dedicated' }, name)
  }
  for (const name of healthy) await untilCondition(world, { ...completed, name })
  for (const [name, message] of [
    ['taken', 'does not belong to this GenerationJob'],
    ['mapless', 'undefined'],
  ] as const) {
    const job = await untilCondition(world, { type: 'Admitted', is: 'False/Invalid', name })
    expect(messageOf(job, 'Admitted')).toContain(message)
    // After nine failures the schedule says 1.28 s; only an event of the object makes it shorter.
    await eventually(() => {
      const times = failuresOf(name).map(({ atMs }) => atMs)
      const pauses = times.map((atMs, index) => (times[index + 1] ?? 0) - atMs)
      expect(Math.max(...pauses)).toBeGreaterThanOrEqual(1280)
    })
  }
  await untilCondition(world, { type: 'ModelReady', is: 'False/UnsupportedTask', name: 'unknown' })
  // The api does not take a request of this size.
  await untilCondition(world, { type: 'CreditsReserved', is: 'Unknown/Pending', name: 'huge' })

  // Once what is wrong is put right, each of them goes on.
  proxy.alterEvents((line) => line)
  await deleteObject(world.admin, jobs, { namespace: world.namespace, name: taken })
  const patch = { metadata: { annotations: { looked: 'at' } } }
  for (const name of ['taken', 'mapless', 'unknown']) {
    await mergePatch(world.admin, generationJobs, { name, namespace: world.namespace, patch })
  }
  for (const name of ['taken', 'mapless']) await untilCondition(world, { ...completed, name })
  await untilCondition(world, { ...running, name: 'unknown' })
  for (const name of ['unknown', 'huge']) {
    await world.patchSpec(name, { cancel: true })
    await untilCondition(world, { ...cancelled, name })
  }
}

function keyOf({ namespace }: World, name: string): string {
  return `${namespace}/${name}`
}

/** The name of its first attempt belongs to somebody else's Job, which never runs. */
async function takeName(world: World): Promise<string> {
  const { metadata } = await world.createJob({ execution: 'Dedicated' }, 'taken')
  const name = `gj-${metadata.uid}-a1`
  const template = { spec: { restartPolicy: 'Never', containers: [restricted] } } as const
  await createObject(world.admin, jobs, {
    metadata: { name, namespace: world.namespace },
    spec: { suspend: true, template },
  })
  return name
}

const restricted = { name: 'x', image: 'x' }
