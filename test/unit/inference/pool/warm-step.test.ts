import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Manifest, readManifest } from '../../../../src/inference/models/manifest.ts'
import { readPicture } from '../../../../src/inference/images/read-picture.ts'
import { warmRequests } from '../../../../src/inference/pool/warm-step.ts'

const { manifest } = await readManifest(
  path.resolve(import.meta.dirname, '../../../../models/demo'),
)

function requestsOf(change: Partial<Manifest>) {
  return warmRequests({ ...manifest, ...change })
}

describe('the warm step', () => {
  test('is one step at the smallest size for each task of the model', () => {
    const requests = requestsOf({ tasks: ['TextToImage', 'Inpaint'] })
    expect(requests.map(({ task }) => task)).toEqual(['TextToImage', 'Inpaint'])
    for (const request of requests) {
      expect(request).toMatchObject({ width: 32, height: 32, steps: 1, images: 1, loras: [] })
    }
  })

  test('brings the pictures that a task needs, in the size of the request', async () => {
    const [change, repaint] = requestsOf({ tasks: ['ImageToImage', 'Inpaint'] })
    expect(change.inputs.map(({ role }) => role)).toEqual(['Image'])
    expect(repaint.inputs.map(({ role }) => role)).toEqual(['Image', 'Mask'])
    const { bytes, field } = repaint.inputs[0]
    const { picture } = await readPicture(bytes, field)
    expect(picture).toMatchObject({ width: 32, height: 32 })
  })

  test('leaves out what this engine does not do, and needs something that it does', () => {
    expect(requestsOf({ tasks: ['Upscale', 'TextToImage'] })).toHaveLength(1)
    expect(() => requestsOf({ tasks: ['Upscale'] })).toThrow(/tasks.*models of pictures/)
  })
})
