import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { decode } from 'fast-png'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JobRequest } from '../../src/shared/wire/job-requests.ts'
import type { JobView } from '../../src/shared/wire/jobs.ts'
import { pollUntil, startTestAtelier, type TestAtelier } from '../support/atelier.ts'
import { testEnvironment } from '../support/environment.ts'
import { post, type RestSession } from '../support/rest-session.ts'
import { someValues, writeSafetensors } from '../unit/inference/lora/safetensors-bytes.ts'

const demoModel = resolve(import.meta.dirname, '../../models/demo')
const name = 'e2e-lora'

let modelsFolder: string
let atelier: TestAtelier
let member: RestSession
beforeAll(async () => {
  modelsFolder = await mkdtemp(join(tmpdir(), 'atelier-models-'))
  await cp(demoModel, join(modelsFolder, 'demo'), { recursive: true })
  const digest = await writeLoraPack(join(modelsFolder, name))
  atelier = await startTestAtelier(testEnvironment(), { modelsFolder })
  const applied = await atelier.kubectl(['apply', '-f', '-'], JSON.stringify(loraModel(digest)))
  if (applied.exitCode !== 0) throw new Error(applied.stderr)
  member = await atelier.signIn('department_member')
  // The api learns of the new Model through its watch.
  const models = async () => await (await member.request('/v1/models')).text()
  await pollUntil(models, (text) => text.includes(name))
})
afterAll(async () => {
  await atelier.kubectl(['delete', 'atmodel', name, '--ignore-not-found'])
  await atelier.stop()
  await rm(modelsFolder, { recursive: true, force: true })
})

/** A LoRA of rank 4 for the attention of the demo model's UNet; its numbers mean nothing. */
function loraBytes(): Uint8Array {
  const layers = ['to_q', 'to_k', 'to_v', 'to_out_0'].map(
    (layer) => `lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_${layer}`,
  )
  const tensors = layers.flatMap((layer, index) => [
    [`${layer}.lora_down.weight`, { shape: [4, 96], values: someValues(4 * 96, index) }] as const,
    [`${layer}.lora_up.weight`, { shape: [96, 4], values: someValues(96 * 4, index + 9) }] as const,
  ])
  return writeSafetensors(Object.fromEntries(tensors))
}

/** Returns the digest of the pack. */
async function writeLoraPack(folder: string): Promise<string> {
  await mkdir(folder)
  const bytes = loraBytes()
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const manifest = JSON.stringify({
    schemaVersion: 1,
    type: 'Lora',
    name,
    description: 'For a test.',
    family: 'StableDiffusion1',
    licence: 'Apache-2.0',
    files: [{ path: 'lora.safetensors', sha256, sizeBytes: bytes.length }],
  })
  await writeFile(join(folder, 'lora.safetensors'), bytes)
  await writeFile(join(folder, 'atelier-model.json'), manifest)
  return createHash('sha256').update(manifest).digest('hex')
}

function loraModel(digest: string) {
  return {
    apiVersion: 'atelier.dev/v1alpha1',
    kind: 'Model',
    metadata: { name },
    spec: {
      type: 'Lora',
      family: 'StableDiffusion1',
      licence: 'Apache-2.0',
      tasks: ['TextToImage', 'ImageToImage', 'Inpaint'],
      delivery: { type: 'Embedded', embedded: { path: name } },
      digest,
      price: { perImageMicroCredits: 0 },
      resources: { gpus: 0, cpu: '0', memory: '64Mi' },
      runsOn: ['Gpu', 'Cpu'],
    },
  }
}

type Loras = NonNullable<JobRequest['parameters']['loras']>

function request(loras: Loras): JobRequest {
  const parameters = { prompt: 'a photo of a dent on wood', seed: 3, steps: 4, loras }
  return { task: 'TextToImage', model: 'demo', parameters }
}

async function pictureWith(loras: Loras): Promise<readonly number[]> {
  const { id } = await member.submit(request(loras))
  const job: JobView = await pollUntil(
    async () => await member.job(id),
    ({ state }) => ['Completed', 'Failed', 'Cancelled'].includes(state),
  )
  expect(job).toMatchObject({ state: 'Completed' })
  const answer = await fetch(new URL(job.outputs[0]?.url ?? '', atelier.apiUrl))
  return [...decode(await answer.bytes()).data]
}

describe('a job with a LoRA', { timeout: 120_000 }, () => {
  test('gets it into its pod and follows its scale', async () => {
    const plain = await pictureWith([])
    const off = await pictureWith([{ name, scale: 0 }])
    const on = await pictureWith([{ name, scale: 1 }])
    const changed = (picture: readonly number[]) =>
      picture.filter((value, at) => Math.abs(value - (plain[at] ?? 0)) > 1).length
    expect(changed(off)).toBe(0)
    expect(changed(on)).toBeGreaterThan(1000)
  })

  test('is refused by the field when there is no such LoRA', async () => {
    const answer = await member.request('/v1/jobs', post(request([{ name: 'nobody', scale: 1 }])))
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      errors: [{ path: '/parameters/loras/0/name' }],
    })
  })
})
