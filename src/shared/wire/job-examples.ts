/** Examples of the OpenAPI document; a test checks them against their schemas. */
const picture = 'up-4b1d0f6c2f0e7a9d5c3b8e1f6a7d2c90'
const mask = 'up-90c2d7a6f1e8b3c5d9a7e0f2c6f0d1b4'
const prompt = 'a scratch on brushed steel'

export const exampleRequests = {
  TextToImage: {
    task: 'TextToImage',
    model: 'demo',
    parameters: { prompt, steps: 20, seed: 7, batchCount: 1 },
  },
  ImageToImage: {
    task: 'ImageToImage',
    model: 'demo',
    parameters: { prompt, seed: 7, strength: 0.6, resizeMode: 'Fill' },
    inputs: [{ role: 'Image', artifact: picture }],
  },
  Inpaint: {
    task: 'Inpaint',
    model: 'demo',
    parameters: { prompt, seed: 7, maskBlur: 4, keepUnmaskedPixels: true },
    inputs: [
      { role: 'Image', artifact: picture },
      { role: 'Mask', artifact: mask },
    ],
  },
} as const

export const exampleQuote = {
  id: '01jd6z0c5m8k2v3n4p5q6r7s8v',
  price: '1.5',
  breakdown: [
    { name: 'Image', quantity: '1', rate: '1', price: '1' },
    { name: 'MegapixelStep', quantity: '5', rate: '0.1', price: '0.5' },
  ],
  available: '20',
  balanceAfter: '18.5',
  expiresTime: '2026-11-21T14:40:00Z',
}

const jobId = '01jd6z0c5m8k2v3n4p5q6r7s8t'

export const exampleJob = {
  id: jobId,
  task: 'TextToImage',
  model: 'demo',
  owner: { department: 'quality', user: 'u-0123456789abcdef01234567' },
  parameters: {
    ...exampleRequests.TextToImage.parameters,
    width: 64,
    height: 64,
    guidanceScale: 7.5,
  },
  state: 'Completed',
  reason: 'Completed',
  message: 'Every output is stored.',
  conditions: [
    {
      type: 'Succeeded',
      status: 'True',
      reason: 'Completed',
      message: 'Every output is stored.',
      lastTransitionTime: '2026-11-21T14:30:05Z',
    },
  ],
  progress: null,
  outputs: [
    {
      id: `${jobId}.1.0-0.png`,
      name: '0-0.png',
      sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      sizeBytes: 12_345,
      contentType: 'image/png',
      width: 64,
      height: 64,
      seed: 7,
      url: `/v1/objects/artifacts/${jobId}/1/0-0.png?expires=1795271405000&signature=c2lnbmVk`,
      urlExpiresTime: '2026-11-21T15:30:05Z',
    },
  ],
  outputsExpireTime: '2026-12-21T14:30:05Z',
  outputsRemovedTime: null,
  cost: {
    held: '1',
    charged: '1',
    basis: { images: 1, modelCalls: 20, megapixels: 0.004096 },
  },
  queue: null,
  revision: 9,
  creationTime: '2026-11-21T14:30:00Z',
  startTime: '2026-11-21T14:30:02Z',
  completionTime: '2026-11-21T14:30:05Z',
  resource: { namespace: 'atelier-jobs', name: `gj-${jobId}` },
  urls: {
    self: `/v1/jobs/${jobId}`,
    events: `/v1/jobs/${jobId}/events`,
    cancel: `/v1/jobs/${jobId}/cancel`,
  },
}
