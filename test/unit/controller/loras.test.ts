import { describe, expect, it } from 'vitest'
import { requestOf } from '../../../src/controller/generation-job/eligibility.ts'
import { needsHold } from '../../../src/controller/generation-job/questions.ts'
import type { Model, ModelSpec } from '../../../src/shared/crd/model.ts'
import { aJob, aModel, heldAnswer, observed, request } from './builders.ts'
import { decided } from './decided.ts'

const resources = { gpus: 0, cpu: '250m', memory: '1Gi' }

function aLora(spec: Partial<ModelSpec> = {}, ready = 'True/Ready'): Model {
  return aModel({ type: 'Lora', resources, ...spec }, ready)
}

const loras = ['rust', 'moss'].map((name) => ({ name, scale: 1 }))
const job = aJob({ spec: { parameters: { prompt: 'a scratch', loras } } })
const place = { kind: 'Node' } as const

describe('a job with LoRAs', () => {
  it('starts once all of them are there, and its attempt knows them in order', () => {
    const models = [aLora(), aLora({ licence: 'MIT' })]
    const { actions, conditions } = decided({ job, loras: models, hold: heldAnswer, place })
    expect(actions[0]).toMatchObject({ kind: 'CreateAttempt', loras: models })
    expect(conditions['ModelReady']).toBe('True/Ready')
  })

  it.each([
    [undefined, 'False/ModelNotFound', 'loras[1].name: there is no Model moss.'],
    [aLora({ tasks: ['Inpaint'] }), 'False/UnsupportedTask', 'Model moss does not do TextToImage'],
    [
      aLora({ visibility: 'Departments', departments: ['assembly'] }),
      'False/NotVisible',
      'not visible',
    ],
    [aLora({}, 'False/DeliveryUnsupported'), 'False/ModelNotReady', 'the model’s own message'],
  ])('waits for one that cannot serve it and says which (%#)', (moss, expected, message) => {
    const options = { job, loras: [aLora(), moss], hold: heldAnswer, place }
    const { kinds, conditions, messageOf } = decided(options)
    expect(kinds).toEqual(['WriteStatus'])
    expect(conditions['ModelReady']).toBe(expected)
    expect(messageOf('ModelReady')).toContain(message)
    expect(needsHold(observed(options))).toBe(false)
  })

  it('speaks of the base model first', () => {
    const options = { job, model: undefined, loras: [undefined, undefined], place }
    const { messageOf } = decided(options)
    expect(messageOf('ModelReady')).toBe('spec.modelRef.name: there is no Model demo.')
  })

  it('leaves the question whether they fit the model to the api', () => {
    const options = { job, loras: [aLora({ family: 'StableDiffusionXL' }), aModel()] }
    expect(needsHold(observed(options))).toBe(true)
  })
})

describe('what an attempt asks for', () => {
  it('is the model’s share and each LoRA’s, with the GPUs of the model', () => {
    const models = { model: aModel(), loras: [aLora(), aLora()] }
    const sum = { gpus: 1, cpuMillis: 2500, memoryBytes: request.memoryBytes + 2 * 2 ** 30 }
    expect(requestOf(models, { allowCpu: true, clusterGpus: 2 })).toEqual(sum)
    const onCpu = requestOf(models, { allowCpu: true, clusterGpus: 0 })
    expect(onCpu).toEqual({ ...sum, gpus: 0 })
  })
})
