import { decode } from 'fast-png'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JobRequest } from '../../src/shared/wire/job-requests.ts'
import { artifact, type JobView } from '../../src/shared/wire/jobs.ts'
import { pollUntil, startTestAtelier, type TestAtelier } from '../support/atelier.ts'
import { testEnvironment } from '../support/environment.ts'
import type { RestSession } from '../support/rest-session.ts'

let atelier: TestAtelier
let member: RestSession
beforeAll(async () => {
  atelier = await startTestAtelier(testEnvironment())
  member = await atelier.signIn('department_member')
})
afterAll(async () => await atelier.stop())

const prompt = 'a photo of a hole on metal'
const side = 64

/** A grey picture; of a mask, a white box from 16 to 48 on black. */
async function pngOf(kind: 'picture' | 'mask', size = side): Promise<Buffer> {
  const pixels = Buffer.alloc(size * size * 3)
  for (let at = 0; at < pixels.length; at += 1) {
    const [x, y] = [Math.floor(at / 3) % size, Math.floor(at / 3 / size)]
    const isInside = Math.min(x, y) >= 16 && Math.max(x, y) < 48
    pixels[at] = kind === 'picture' ? 96 + x : isInside ? 255 : 0
  }
  return await sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
    .png()
    .toBuffer()
}

async function upload(body: Buffer): Promise<string> {
  const headers = { 'content-type': 'image/png' }
  const answer = await member.request('/v1/artifacts', { method: 'POST', headers, body })
  expect(answer.status).toBe(201)
  return artifact.parse(await answer.json()).id
}

async function finished(request: JobRequest): Promise<JobView> {
  const { id } = await member.submit(request)
  return await pollUntil(
    async () => await member.job(id),
    ({ state }) => ['Completed', 'Failed', 'Cancelled'].includes(state),
  )
}

async function pixelsOf({ outputs }: JobView) {
  const answer = await fetch(new URL(outputs[0]?.url ?? '', atelier.apiUrl))
  return decode(await answer.bytes())
}

describe('a picture made from an uploaded one', () => {
  test('leaves it further the larger its strength is, and counts model calls', async () => {
    const inputs = [{ role: 'Image' as const, artifact: await upload(await pngOf('picture')) }]
    const before = decode(await pngOf('picture')).data
    const distances: number[] = []
    for (const strength of [0.2, 0.9]) {
      const parameters = { prompt, strength, seed: 7, steps: 10 }
      const job = await finished({ task: 'ImageToImage', model: 'demo', inputs, parameters })
      expect(job).toMatchObject({ state: 'Completed', cost: { charged: '1' } })
      expect(job.cost.basis?.modelCalls).toBe(10 * strength)
      const after = [...(await pixelsOf(job)).data]
      const changes = after.map((value, at) => Math.abs(value - (before[at] ?? 0)))
      distances.push(changes.reduce((sum, one) => sum + one, 0))
    }
    expect(distances[0]).toBeLessThan(distances[1] ?? 0)
  })

  test('says what was done to an input of another size', async () => {
    const inputs = [{ role: 'Image' as const, artifact: await upload(await pngOf('picture', 96)) }]
    const parameters = { prompt, seed: 7, steps: 4, resizeMode: 'Fill' as const }
    const job = await finished({ task: 'ImageToImage', model: 'demo', inputs, parameters })
    expect(job.state).toBe('Completed')
    expect(job.outputs[0]?.inputChanges).toEqual([expect.stringContaining('96x96')])
  })

  test('has the bytes of the input where the mask is black', async () => {
    const picture = await pngOf('picture')
    const inputs = [
      { role: 'Image' as const, artifact: await upload(picture) },
      { role: 'Mask' as const, artifact: await upload(await pngOf('mask')) },
    ]
    const parameters = { prompt, seed: 7, steps: 10, keepUnmaskedPixels: true }
    const job = await finished({ task: 'Inpaint', model: 'demo', inputs, parameters })
    expect(job.state).toBe('Completed')
    const [before, after] = [decode(picture).data, (await pixelsOf(job)).data]
    const differs = [...after].flatMap((value, at) => (value === before[at] ? [] : [at]))
    const outside = differs.filter((at) => {
      const [x, y] = [Math.floor(at / 3) % side, Math.floor(at / 3 / side)]
      return Math.min(x, y) < 16 || Math.max(x, y) >= 48
    })
    expect(outside).toEqual([])
    expect(differs.length).toBeGreaterThan(100)
  })
})

const applied = (name: string, configMap: string) => `
apiVersion: atelier.dev/v1alpha1
kind: GenerationJob
metadata: { name: ${name}, namespace: vision }
spec:
  owner: { department: vision }
  task: ImageToImage
  modelRef: { name: demo }
  inputs: [{ role: Image, configMapRef: { name: ${configMap}, key: picture.png } }]
  parameters: { prompt: ${prompt}, seed: 3, steps: 4 }
`
const configMap = async () => `
apiVersion: v1
kind: ConfigMap
metadata: { name: e2e-pictures, namespace: vision }
binaryData: { picture.png: ${(await pngOf('picture')).toString('base64')} }
`
const verdictOf = async (name: string) => {
  const path = '{.status.conditions[?(@.type=="Succeeded")]}'
  const get = ['get', 'genjob', '-n', 'vision', name, '-o', `jsonpath=${path}`]
  return await pollUntil(
    async () => (await atelier.kubectl(get)).stdout,
    (stdout) => stdout.includes('"status":"True"') || stdout.includes('"status":"False"'),
  )
}

describe('a job applied with kubectl', () => {
  test('reads its input from a ConfigMap', async () => {
    const text = `${await configMap()}---${applied('from-config-map', 'e2e-pictures')}`
    expect((await atelier.kubectl(['apply', '-f', '-'], text)).stderr).toBe('')
    expect(await verdictOf('from-config-map')).toContain('"reason":"Completed"')
    await atelier.kubectl(['delete', 'configmap', '-n', 'vision', 'e2e-pictures'])
  })

  test('ends by naming the input when there is no such ConfigMap', async () => {
    await atelier.kubectl(['apply', '-f', '-'], applied('from-nowhere', 'no-such-pictures'))
    const verdict = await verdictOf('from-nowhere')
    expect(verdict).toContain('"reason":"InvalidInput"')
    expect(verdict).toContain('inputs[0]')
  })
})
