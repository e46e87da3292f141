import { readMask } from '../images/mask.ts'
import { type PreparedInputs, prepareInputs } from '../images/prepare-inputs.ts'
import { readPicture } from '../images/read-picture.ts'
import { invalid } from '../pipelines/request.ts'
import type { GenerateRequest, InputFile } from './protocol.ts'

/** Decodes and fits the inputs of a job; none for text alone. @throws AppError request.invalid */
export async function readInputs(request: GenerateRequest): Promise<PreparedInputs | undefined> {
  const { task, inputs } = request
  if (task === 'TextToImage') return undefined
  const image = requireInput(inputs, 'Image')
  const picture = await readPicture(image.bytes, image.field)
  if (task === 'ImageToImage') return prepareInputs({ image: picture }, { ...request, task })
  const file = requireInput(inputs, 'Mask')
  const mask = await readMask(file.bytes, file.field)
  return prepareInputs({ image: picture, mask }, { ...request, task })
}

function requireInput(inputs: readonly InputFile[], role: InputFile['role']): InputFile {
  const [found, second] = inputs.filter((input) => input.role === role)
  if (found === undefined) throw invalid('inputs', `an input of role ${role} is missing`)
  if (second !== undefined) throw invalid(second.field, `is a second input of role ${role}`)
  return found
}
