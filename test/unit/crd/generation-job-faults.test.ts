import { describe, expect, it } from 'vitest'
import { generationJobFaults } from '../../../src/shared/crd/generation-job-rules.ts'
import { generationJobSpec, type Task, tasks } from '../../../src/shared/crd/generation-job.ts'

const image = { role: 'Image', artifact: 'a' }
const mask = { role: 'Mask', artifact: 'b' }
const reference = { role: 'Reference', artifact: 'c' }
const edit = { task: 'ImageToImage', inputs: [image] }

function inputsOf(task: Task) {
  if (task === 'TextToImage' || task === 'TextTo3D') return []
  return task === 'ImageToImage' ? [image] : [image, mask]
}

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
      expect(faultsOf({ task, inputs: inputsOf(task) })).toEqual([])
    }
  })

  it.each([
    ['no prompt', { parameters: {} }, ['parameters.prompt']],
    ['an input too many', { inputs: [image] }, ['inputs']],
    ['strength', { parameters: { prompt: 'a', strength: 1 } }, ['parameters.strength']],
    ['a mask that nothing uses', { task: 'ImageToImage', inputs: [image, mask] }, ['inputs']],
    ['a reference', { task: 'Inpaint', inputs: [image, mask, reference] }, ['inputs']],
    ['two pictures', { task: 'ImageToImage', inputs: [image, image] }, ['inputs']],
    ['two masks', { task: 'Inpaint', inputs: [image, mask, mask] }, ['inputs']],
    ['no prompt for a picture', { ...edit, parameters: {} }, ['parameters.prompt']],
    [
      'a LoRA twice',
      { parameters: { prompt: 'a', loras: [{ name: 'rust' }, { name: 'rust', scale: 2 }] } },
      ['parameters.loras'],
    ],
    ['no picture', { task: 'ImageToImage' }, ['inputs']],
    ['no mask', { task: 'Inpaint', inputs: [image] }, ['inputs']],
    ['limits of nobody', { owner: { department: 'vision', limits: {} } }, ['owner.limits']],
    [
      'two sources in the second input',
      {
        task: 'Inpaint',
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
    ['several', { task: 'Inpaint', parameters: {} }, ['parameters.prompt', 'inputs', 'inputs']],
  ])('names the field of %s', (_what, changes, paths) => {
    expect(faultsOf(changes)).toEqual(paths)
  })

  it('names each parameter that a task does not use, and no other', () => {
    for (const task of tasks) {
      const unused = Object.keys(limited).filter((field) => !usersOf[field]?.includes(task))
      const parameters = { prompt: 'a dent', seed: 1, ...limited }
      const named = faultsOf({ task, inputs: inputsOf(task), parameters })
      expect([task, named]).toEqual([task, unused.map((field) => `parameters.${field}`)])
    }
  })
})

const limited = {
  strength: 0,
  resizeMode: 'Fit',
  maskBlur: 0,
  inpaintArea: 'Whole',
  maskPadding: 0,
  keepUnmaskedPixels: false,
  promptSyntax: 'Plain',
  promptOverflow: 'Chunk',
  loras: [],
}
const editing: readonly Task[] = ['ImageToImage', 'Inpaint']
const drawing: readonly Task[] = ['TextToImage', ...editing]
const usersOf: Readonly<Record<string, readonly Task[]>> = {
  strength: editing,
  resizeMode: editing,
  maskBlur: ['Inpaint'],
  inpaintArea: ['Inpaint'],
  maskPadding: ['Inpaint'],
  keepUnmaskedPixels: ['Inpaint'],
  promptSyntax: drawing,
  promptOverflow: drawing,
  loras: drawing,
}
