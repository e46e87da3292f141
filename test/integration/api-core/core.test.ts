import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ApiCore, openApiCore } from '../../../src/api/composition.ts'
import { getObject, patchStatus } from '../../../src/platform/kube/objects.ts'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import type { GenerationJobStatus } from '../../../src/shared/crd/generation-job.ts'
import { eventually } from '../../support/eventually.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { openScene, perImage, type Scene } from './scene.ts'

let scene: Scene
let replicas: ApiCore[]
let core: ApiCore

beforeAll(async () => {
  scene = await openScene()
  const first = await openApiCore(scene.deps)
  const second = await openApiCore(scene.deps)
  replicas = [first, second]
  core = second
  await Promise.all(replicas.map((replica) => replica.start()))
  await scene.fund(10 * perImage)
})
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.close()))
  await scene.close()
})

async function setStatus(jobId: string, status: GenerationJobStatus): Promise<void> {
  const ref = { namespace: scene.jobsNamespace, name: `gj-${jobId}` }
  const object = await eventually(() => getObject(scene.admin, generationJobs, ref))
  await patchStatus(scene.admin, generationJobs, { object, status })
}

const lastTransitionTime = '2026-11-21T14:00:00Z'

function conditions(type: string, status: 'True' | 'False', reason: string) {
  return [{ type, status, reason, message: '', lastTransitionTime }]
}

describe('two api replicas', () => {
  it('take a job from the request to the settled history', async () => {
    expect(replicas.map((replica) => replica.isReady())).toEqual([true, true])
    const request = {
      task: 'TextToImage',
      model: scene.model,
      parameters: { prompt: 'a crack in concrete' },
    } as const
    const { view } = await core.jobs.submit(scene.caller, request)
    const events: number[] = []
    core.events.onJob(view.id, ({ revision }) => events.push(revision))
    await setStatus(view.id, { conditions: conditions('PodsReady', 'True', 'Running') })
    await eventually(async () => {
      expect((await core.jobs.get(scene.caller, view.id)).state).toBe('Running')
    })
    const bytes = Buffer.from('a picture')
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const facts = { sha256, sizeBytes: bytes.length, contentType: 'image/png' }
    const key = `artifacts/${view.id}/1/image-0.png`
    await core.objects.put(key, Readable.from(bytes), facts)
    await setStatus(view.id, {
      conditions: conditions('Succeeded', 'True', 'Completed'),
      outputs: [{ ...facts, name: 'image-0.png', key }],
    })
    const done = await eventually(async () => {
      const now = await core.jobs.get(scene.caller, view.id)
      expect(now.state).toBe('Completed')
      return now
    })
    expect(done).toMatchObject({
      cost: { held: '1', charged: '1' },
      outputs: [{ id: `${view.id}.1.image-0.png`, sha256 }],
    })
    expect(done.outputs[0]?.url).toContain(`http://public.test/v1/objects/${key}?expires=`)
    await eventually(() => expect(events.at(-1)).toBe(done.revision))
    expect(await core.accounts.balance(scene.caller)).toMatchObject({
      heldMicroCredits: 0,
      spentMicroCredits: perImage,
    })
    const mine = (await core.audit()).differences.filter(({ id }) => id.includes(view.id))
    expect(mine).toEqual([])
  })

  it('take a cancel to the custom resource', async () => {
    const request = {
      task: 'TextToImage',
      model: scene.model,
      parameters: { prompt: 'x' },
    } as const
    const { view } = await core.jobs.submit(scene.caller, request)
    await core.jobs.cancel(scene.caller, view.id)
    const ref = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
    await eventually(async () => {
      expect((await getObject(scene.admin, generationJobs, ref)).spec.cancel).toBe(true)
    })
    await setStatus(view.id, { conditions: conditions('Succeeded', 'False', 'Cancelled') })
    await eventually(async () => {
      const now = await core.jobs.get(scene.caller, view.id)
      expect(now).toMatchObject({ state: 'Cancelled', cost: { charged: '0' } })
    })
    const again = await core.jobs.cancel(scene.caller, view.id)
    expect(again.state).toBe('Cancelled')
  })

  it('refuse to cancel what has ended', async () => {
    const { items } = await core.jobs.list(scene.caller, { limit: 10, state: 'Completed' })
    const id = items[0]?.id ?? ''
    const cancelled = core.jobs.cancel(scene.caller, id)
    await expect(cancelled).rejects.toMatchObject({ code: 'job.ended' })
  })

  it('write the outbox into the ledger', async () => {
    await eventually(async () => {
      expect(await scene.parts.accountStore.findUnrelayed(1)).toEqual([])
    })
    const accountId = accountIdOf({ ...scene.caller, user: scene.caller.userId })
    const kinds = (await scene.parts.accountStore.entriesOf(accountId, 0)).map(({ kind }) => kind)
    expect(kinds).toEqual(['Issue', 'Hold', 'Settle', 'Hold', 'Void'])
  })
})
