import type { DiffusionModel } from './model.ts'
import { type ImageRequest, invalid } from './request.ts'
import type { UnetTraits } from './unet-traits.ts'

/** Throws `request.invalid` with the field that this model cannot do. */
export function checkRequest(
  request: ImageRequest,
  at: { readonly model: DiffusionModel; readonly traits: UnetTraits },
): void {
  checkSize(request, at)
  checkInputs(request)
  if (at.traits.repaints && request.task !== 'Inpaint') {
    throw invalid('task', 'the UNet of this model repaints under a mask; it can do Inpaint only')
  }
}

function checkSize(
  request: ImageRequest,
  { model, traits }: { readonly model: DiffusionModel; readonly traits: UnetTraits },
): void {
  for (const side of ['width', 'height'] as const) {
    const size = request[side]
    const factor = model.latentFactor
    if (!(size > 0) || size % factor !== 0) {
      throw invalid(side, `${size} is not a multiple of ${factor}, as this model needs`)
    }
    const only = traits[side]
    if (only !== undefined && size !== only * factor) {
      throw invalid(side, `this model was exported for ${only * factor} only, not for ${size}`)
    }
  }
}

function checkInputs({ task, image, mask, width, height }: ImageRequest): void {
  if (task === 'TextToImage') return
  requireSized('image', image, { task, width, height })
  if (task === 'Inpaint') requireSized('mask', mask, { task, width, height })
}

type Sized = { readonly width: number; readonly height: number }

function requireSized(
  field: 'image' | 'mask',
  input: Sized | undefined,
  { task, width, height }: Sized & { readonly task: string },
): void {
  if (input === undefined) throw invalid(field, `is missing, but ${task} needs one`)
  if (input.width === width && input.height === height) return
  throw invalid(field, `is ${input.width}x${input.height}, not ${width}x${height}`)
}
