import { describe, expect, it } from 'vitest'
import { generationJobFaults } from '../../../src/shared/crd/generation-job-rules.ts'
import { generationJobSpec, tasks } from '../../../src/shared/crd/generation-job.ts'

const image = { role: 'Image', artifact: 'a' }
const mask = { role: 'Mask', artifact: 'b' }

function faultsOf(changes: object): string[] {
  const spec = generationJobSpec.parse({
    owner: { department: 'vision' },
    task: 'TextToImage',
    modelRef: { name: 'demo' },
    parameters: { prompt: 'a dent' },
    ...changes,
  })
  return generationJobFaults(spec).map(({ path }) => path)
}

describe('generationJobFaults', () => {
  it('finds nothing in a good request of each task', () => {
    for (const task of tasks) {
      const inputs = task === 'TextToImage' || task === 'TextTo3D' ? [] : [image, mask]
      expect(faultsOf({ task, inputs })).toEqual([])
    }
  })

  it.each([
    ['no prompt', { parameters: {} }, ['parameters.prompt']],
    ['an input too many', { inputs: [image] }, ['inputs']],
    ['strength', { parameters: { prompt: 'a', strength: 1 } }, ['parameters.strength']],
    ['no picture', { task: 'ImageToImage' }, ['inputs']],
    ['no mask', { task: 'Inpaint', inputs: [image] }, ['inputs']],
    ['limits of nobody', { owner: { department: 'vision', limits: {} } }, ['owner.limits']],
    [
      'two sources in the second input',
      {
        task: 'ImageToImage',
        inputs: [image, { ...mask, configMapRef: { name: 'a', key: 'b' } }],
      },
      ['inputs[1]'],
    ],
    [
      'an import of another department',
      {
        task: 'ImageToImage',
        inputs: [{ role: 'Image', object: { key: 'imports/b/c', sha256: 'a'.repeat(64) } }],
      },
      ['inputs'],
    ],
    ['several', { task: 'Inpaint', parameters: {} }, ['inputs', 'inputs']],
  ])('names the field of %s', (_what, changes, paths) => {
    expect(faultsOf(changes)).toEqual(paths)
  })
})
