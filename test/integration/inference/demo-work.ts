import type { Work } from '../../../src/shared/wire/internal.ts'

/** What the api says of a small job of the demo model. */
export const demoWork = {
  task: 'TextToImage',
  model: { name: 'demo', delivery: { type: 'Embedded', embedded: { path: 'demo' } } },
  parameters: {
    prompt: 'a photo of a scratch on metal',
    negativePrompt: '',
    width: 32,
    height: 32,
    steps: 4,
    guidanceScale: 3,
    seed: 7,
    scheduler: 'Euler',
    batchCount: 1,
    batchSize: 1,
  },
  inputs: [],
  loras: [],
} as const satisfies Work
