import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { readManifest } from '../../../src/inference/models/manifest.ts'
import { Runner } from '../../../src/inference/runner/parent.ts'

/** The seventh of the ten defects in test/integration/api-core/defectstudio.test.ts. */
describe('what must not happen again', () => {
  // Of one job: pods that stay warm between jobs are not there yet.
  it('7: the model is not loaded per picture', { timeout: 60_000 }, async () => {
    const folder = path.resolve(import.meta.dirname, '../../../models/demo')
    const { files } = (await readManifest(folder)).manifest
    const runner = new Runner()
    try {
      await runner.load({ folder, files, threads: 1, provider: 'cpu' })
      const process = runner.pid
      let images = 0
      const request = {
        task: 'TextToImage' as const,
        prompt: 'a photo of a dent on metal',
        width: 64,
        height: 64,
        steps: 2,
        guidanceScale: 3,
        seed: 7,
        scheduler: 'Euler' as const,
        images: 3,
        promptSyntax: 'Plain' as const,
        promptOverflow: 'Chunk' as const,
        inputs: [],
        loras: [],
        model: { name: 'demo' },
      }
      await runner.generate(request, { onProgress: () => {}, onImage: () => (images += 1) })
      // A process loads one model in its life: the same process, so the same load.
      expect([images, runner.pid]).toEqual([3, process])
    } finally {
      await runner.close()
    }
  })
})
