import type { JobWish } from '../crd/generation-job-rules.ts'
import type { FieldError } from '../errors.ts'
import { isModelVisible, type KnownModel, type RequestModels } from './known-model.ts'

/**
 * What is wrong with the LoRAs of a request, by `parameters.loras[i].name`. One that the department
 * may not see is answered like one that does not exist.
 */
export function loraErrors(request: JobWish, { model, loras }: RequestModels): FieldError[] {
  return (request.parameters.loras ?? []).flatMap(({ name }, index) => {
    const fault = loraFault(request, model, loras[index] ?? null)
    const message = `${name} ${fault}`
    return fault === null ? [] : [{ path: `parameters.loras[${index}].name`, message }]
  })
}

function loraFault(
  { owner, task }: JobWish,
  { metadata, spec }: KnownModel,
  lora: KnownModel | null,
): string | null {
  if (lora === null || !isModelVisible(lora.spec, owner.department)) {
    return 'is no LoRA of this department'
  }
  const { type, family, tasks } = lora.spec
  if (type !== 'Lora') return 'is a base model, not a LoRA'
  if (family !== spec.family) return `is for ${family}; ${metadata.name} is ${spec.family}`
  return tasks.includes(task) ? null : `serves ${tasks.join(', ')}, not ${task}`
}
