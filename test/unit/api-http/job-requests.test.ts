import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { compileValidator } from '../../../src/api/plugins/validation.ts'
import { isPictureTask, parameters, tasks } from '../../../src/shared/crd/generation-job.ts'
import { limitedFields, tasksWith } from '../../../src/shared/crd/task-fields.ts'
import { AppError } from '../../../src/shared/errors.ts'
import { exampleRequests } from '../../../src/shared/wire/job-examples.ts'
import { jobRequest } from '../../../src/shared/wire/job-requests.ts'

/** The fields that a refusal names, with their messages; empty for a good request. */
function refusal(body: unknown): readonly string[] {
  const validate = compileValidator({
    schema: jobRequest,
    method: 'POST',
    url: '/',
    httpPart: 'body',
  })
  const result: unknown = validate(body)
  const { error } = z.object({ error: z.instanceof(AppError).optional() }).parse(result)
  return (error?.fields ?? []).map(({ path, message }) => `${path} ${message}`)
}

const examples = Object.values(exampleRequests)

describe('a request', () => {
  test.each(examples)('for $task is taken as its example shows it', (example) => {
    expect(refusal(example)).toEqual([])
  })

  test.each(examples)('for $task takes exactly the parameters that the task uses', (example) => {
    for (const field of Object.keys(parameters.shape)) {
      // Null is no value of any field, so that a known one is refused for its type.
      const body = { ...example, parameters: { prompt: 'x', [field]: null } }
      const isUnknown = refusal(body).includes(`/parameters/${field} is not a known field`)
      const limited = limitedFields.find((one) => one.field === field)
      const isUsed = limited === undefined || tasksWith(limited.field).includes(example.task)
      expect([field, isUnknown]).toEqual([field, !isUsed])
    }
  })

  test.each(tasks.filter((task) => !isPictureTask(task)))(
    'for %s is refused by its task and told what runs',
    (task) => {
      expect(refusal({ ...examples[0], task })).toEqual([
        '/task this release runs TextToImage, ImageToImage, Inpaint',
      ])
    },
  )

  test.each([
    ['no task', { ...examples[0], task: undefined }, '/task'],
    ['an input that text needs not', { ...examples[0], inputs: [] }, '/inputs'],
    ['no inputs where one is needed', { ...examples[1], inputs: undefined }, '/inputs'],
    [
      'a mask of another task',
      { ...examples[1], inputs: [{ role: 'Mask', artifact: 'a' }] },
      '/inputs/0/role',
    ],
    [
      'a ConfigMap, which web users do not have',
      withInput({ configMapRef: { name: 'a', key: 'b' } }),
      '/inputs/0/configMapRef',
    ],
    [
      'a word that is no LoRA',
      withParameters({ loras: [{ name: 'No Name' }] }),
      '/parameters/loras/0/name',
    ],
    [
      'a LoRA of scale 5',
      withParameters({ loras: [{ name: 'a', scale: 5 }] }),
      '/parameters/loras/0/scale',
    ],
    [
      'nine LoRAs',
      withParameters({ loras: Array.from({ length: 9 }, (_, index) => ({ name: `a${index}` })) }),
      '/parameters/loras',
    ],
    [
      'a misspelt word of a LoRA',
      withParameters({ loras: [{ name: 'a', weight: 1 }] }),
      '/parameters/loras/0/weight',
    ],
    [
      'a mask blur of 65',
      { ...examples[2], parameters: { prompt: 'x', maskBlur: 65 } },
      '/parameters/maskBlur',
    ],
  ])('with %s is refused by the field', (_what, body, path) => {
    expect(refusal(body).map((text) => text.split(' ')[0])).toContain(path)
  })

  test('gives a LoRA without a scale the scale 1', () => {
    const body = withParameters({ loras: [{ name: 'rust' }] })
    expect(jobRequest.parse(body).parameters.loras).toEqual([{ name: 'rust', scale: 1 }])
  })
})

function withParameters(changes: object): object {
  return { ...examples[0], parameters: { prompt: 'x', ...changes } }
}

function withInput(source: object): object {
  return { ...examples[1], inputs: [{ role: 'Image', ...source }] }
}
