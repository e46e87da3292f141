import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JobRow } from '../../../src/api/features/jobs/row.ts'
import { kubeconfigText } from '../../../src/local/kubeconfig-text.ts'
import { isNotFound } from '../../../src/platform/kube/errors.ts'
import { getObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { generationJobs, pods } from '../../../src/platform/kube/resources.ts'
import { readKubeconfig } from '../../../src/platform/kube/kubeconfig.ts'
import type { LeaseDocument } from '../../../src/platform/mongo/lease.ts'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import { labels } from '../../../src/shared/names.ts'
import { dyingAfter } from '../../integration/controller/dying-client.ts'
import { completes, conditionOf, until } from '../../integration/controller/scene.ts'
import { createWorld } from '../../integration/controller/world.ts'
import { startTestAtelier, type TestAtelier } from '../../support/atelier.ts'
import { type DatabaseProxy, startDatabaseProxy } from '../../support/database-proxy.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts'
import { openAdminClient } from '../../support/kube.ts'
import { longTests } from '../../support/long.ts'
import type { RestSession } from '../../support/rest-session.ts'
import { type AtelierScene, watchAtelier } from './atelier-scene.ts'
import { expectNothingLost, expectQuiet } from './audit.ts'
import { faultTimeout } from './faulty-world.ts'
import { watchWorld } from './world-scene.ts'

const job = {
  task: 'TextToImage',
  model: 'demo',
  parameters: { prompt: 'a photo of a dent on wood', seed: 3, steps: 2 },
} as const
const posts = { verb: 'other', method: 'POST', containing: '/generationjobs' } as const

describe('the api is killed between two of its writes', () => {
  let atelier: TestAtelier
  let database: DatabaseProxy
  let proxy: FaultProxy
  let scene: AtelierScene
  let member: RestSession
  const admin = openAdminClient()
  /** Ids of the jobs, by what was just written when the api died. */
  const ids = { hold: '', resource: '', refund: '' }

  beforeAll(async () => {
    database = await startDatabaseProxy(testEnvironment().mongodbUri)
    atelier = await startTestAtelier({ ...testEnvironment(), mongodbUri: database.uri })
    scene = await watchAtelier(atelier)
    proxy = await leadApiThroughProxy(atelier)
    member = await atelier.signIn('department_member')
    await atCriticalMoments()
    await atelier.api.kill()
    proxy.clearFaults()
    proxy.catchUp()
    database.release()
    process.kill(atelier.controller.pid(), 'SIGCONT')
    await expectHalfDone()
    if (!longTests) await letTimePass(scene)
    await atelier.api.restart()
  }, faultTimeout)

  afterAll(async () => {
    await scene.close()
    await atelier.stop()
    await proxy.close()
    await database.close()
    await admin.close()
  })

  /** One job after another is brought to where the next write is missing. */
  async function atCriticalMoments(): Promise<void> {
    ids.refund = await untilRefunded()
    proxy.inject({ ...posts, fault: { kind: 'Unanswered' } })
    // Or its watch and the controller would tell it what it was not answered.
    proxy.stayAt({ containing: '/generationjobs' })
    process.kill(atelier.controller.pid(), 'SIGSTOP')
    ids.resource = await submit()
    await eventually(() => expect(postsSeen('Unanswered')).toEqual([201]))
    // For ever: it is asked again and again, until it dies.
    proxy.inject({ ...posts, fault: { kind: 'Hang' }, times: Infinity })
    ids.hold = await submit()
    await eventually(() => expect(postsSeen('Hang').length).toBeGreaterThan(0))
  }

  async function submit(): Promise<string> {
    const { id } = await member.submit(job)
    scene.wasAccepted(id)
    return id
  }

  function postsSeen(kind: string): readonly (number | undefined)[] {
    return proxy.requests.filter(({ fault }) => fault?.kind === kind).map(({ status }) => status)
  }

  /** The hold of a cancelled job has been given back, and its row does not say so yet. */
  async function untilRefunded(): Promise<string> {
    const ref = { namespace: 'vision', name: 'refunded' }
    const { stdout } = await atelier.kubectl(
      ['apply', '-f', '-', '-o', 'jsonpath={.metadata.uid}'],
      JSON.stringify(applied(ref)),
    )
    await eventually(async () => {
      const found = await getObject(admin, generationJobs, ref)
      expect(conditionOf(found, 'CreditsReserved')).toBe('True/Reserved')
    })
    const withheld = database.withhold([stdout, 'chargedMicroCredits'])
    const patch = ['--type=merge', '-p', '{"spec":{"cancel":true}}']
    await atelier.kubectl(['patch', 'genjob', '-n', ref.namespace, ref.name, ...patch])
    await withheld
    return stdout
  }

  async function expectHalfDone(): Promise<void> {
    const { jobs } = await scene.facts()
    const of = (id: string) => jobs.find(({ name }) => name === id)
    expect(of(ids.hold)).toMatchObject({ fate: 'Open', holds: 1, endings: 0 })
    expect(of(ids.resource)).toMatchObject({ fate: 'Open', holds: 1, endings: 0 })
    expect(of(ids.refund)).toMatchObject({ fate: 'Open', holds: 1, endings: 1 })
    expect(await resourcesOf(ids.hold)).toEqual([])
    expect(await resourcesOf(ids.resource)).toHaveLength(1)
    expect(await rowOf(ids.resource)).toMatchObject({ resource: { uid: null } })
  }

  async function resourcesOf(id: string): Promise<readonly GenerationJob[]> {
    const all = await listObjects(admin, generationJobs)
    return all.filter(({ spec }) => spec.jobId === id)
  }

  async function rowOf(id: string): Promise<JobRow | null> {
    return await scene.database.documents<JobRow>('jobs').findById(id)
  }

  /** Its row, and every custom resource that it ever had. */
  async function endOf(id: string) {
    await expectNothingLost(scene)
    const row = await rowOf(id)
    const left = await resourcesOf(id)
    return {
      state: row?.state,
      isOwn: row?.resource.uid === left[0]?.metadata.uid,
      attempts: left.map(({ status }) => status?.attempt?.number),
      created: scene.created().filter((name) => name.endsWith(`/gj-${id}`)).length,
    }
  }
  const once = { state: 'Completed', isOwn: true, attempts: [1], created: 1 }

  it('1: after the hold, before the job exists', { timeout: faultTimeout }, async () => {
    expect(await endOf(ids.hold)).toEqual(once)
  })

  it('2: after the job exists, before its row says so', { timeout: faultTimeout }, async () => {
    expect(await endOf(ids.resource)).toEqual(once)
  })

  it('5: after the refund, before anything says so', { timeout: faultTimeout }, async () => {
    await expectNothingLost(scene)
    expect(await rowOf(ids.refund)).toMatchObject({ state: 'Cancelled', hold: 'Voided' })
    // Nothing but its settlement has kept it: there are no finalizers.
    await eventually(async () => {
      const gone = getObject(admin, generationJobs, { namespace: 'vision', name: 'refunded' })
      await expect(gone).rejects.toSatisfy(isNotFound)
    })
    await expectQuiet(scene)
  })
})

function applied(metadata: { readonly namespace: string; readonly name: string }) {
  const { model, ...rest } = job
  const owner = { department: metadata.namespace }
  const waiting = { suspend: true, ttlSecondsAfterFinished: 0 }
  const spec = { owner, modelRef: { name: model }, ...rest, ...waiting }
  return { apiVersion: 'atelier.dev/v1alpha1', kind: 'GenerationJob', metadata, spec }
}

/** With its own token, which the proxy passes on. */
async function leadApiThroughProxy({ folder, api }: TestAtelier): Promise<FaultProxy> {
  const file = join(folder, 'service-accounts/api.kubeconfig')
  const { tokenFile = '' } = readKubeconfig(file)
  const proxy = await startFaultProxy(file)
  const { server } = readKubeconfig(proxy.kubeconfigPath)
  await writeFile(file, kubeconfigText({ server, user: { tokenFile } }))
  await api.restart()
  return proxy
}

/** As if it had been away for as long as it takes that others do what it began. */
async function letTimePass({ database }: AtelierScene): Promise<void> {
  const rows = database.documents<JobRow>('jobs')
  await rows.updateMany({ 'resource.uid': null }, { $inc: { updateTimeMs: -10_000 } })
  const leases = database.documents<LeaseDocument>('leases')
  await leases.updateMany({ _id: 'tasks' }, { $inc: { expiresMs: -10_000 } })
}

describe('the controller is killed between two of its writes', () => {
  it('3: after the attempt is made, before the status', { timeout: faultTimeout }, async () => {
    const world = await createWorld({ behaviour: () => completes })
    const scene = await watchWorld(world)
    try {
      const { metadata } = await world.createJob()
      const dying = dyingAfter(1, (path) => path.endsWith('/jobs'))
      const killed = await world.startController(dying.wrap)
      await dying.died
      await killed.stop()
      const labelSelector = `${labels.jobUid}=${metadata.uid}`
      const selected = { namespace: world.namespace, labelSelector }
      const pod = await eventually(async () => {
        const [one] = await listObjects(world.admin, pods, selected)
        expect(one?.status?.phase).toBe('Running')
        return one
      })
      expect((await world.getJob('job')).status?.attempt).toBeUndefined()
      await world.startController()
      const { status } = await until(world, { type: 'Succeeded', is: 'True/Completed' })
      expect(status?.attempt).toMatchObject({ number: 1, podUID: pod?.metadata.uid })
      expect(await world.attemptNames()).toHaveLength(1)
      await expectNothingLost(scene)
      await expectQuiet(scene)
    } finally {
      await scene.close()
      await world.close()
    }
  })
})
