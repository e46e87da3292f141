import { AppError } from '../../shared/errors.ts'
import { fitPicture } from './fit-picture.ts'
import { inputError } from './input-error.ts'
import { blurMask, fitMask, isEmptyMask, type Mask, type ReadMask } from './mask.ts'
import { cropMask, cropPicture, maskedRegion } from './masked-region.ts'
import { type Patch, pastePicture } from './paste.ts'
import type { Picture, Size } from './picture.ts'
import type { ResizeMode } from './placement.ts'
import type { ReadPicture } from './read-picture.ts'
import type { Region } from './resize.ts'

/** The parameters of a job that say what happens to its inputs. */
export type InputSettings = Size & {
  readonly task: 'ImageToImage' | 'Inpaint'
  readonly resizeMode?: ResizeMode
  /** Pixels. */
  readonly maskBlur?: number
  readonly inpaintArea?: 'Whole' | 'MaskedOnly'
  /** Pixels. */
  readonly maskPadding?: number
  readonly keepUnmaskedPixels?: boolean
}

export type ReadInputs = {
  readonly image: Pick<ReadPicture, 'field' | 'picture' | 'changes'>
  readonly mask?: ReadMask
}

/** What a pipeline paints on, of the job's size, and what finishPicture needs afterwards. */
export type PreparedInputs = {
  readonly image: Picture
  readonly mask?: Mask
  /** What was done to the inputs, in order, for the output of the job. */
  readonly changes: readonly string[]
  /** Absent when the painted picture is the result. */
  readonly paste?: Patch & { readonly original: Picture }
}

type MaskedInputs = Required<ReadInputs>

/**
 * From the files' pixels to what a pipeline takes. For the inpaint area Whole, picture and mask are
 * brought to the job's size, which is the size of the result. For MaskedOnly the picture keeps its
 * own size, which is that of the result, and needs no resizeMode; the job's size is then that at
 * which the masked region is painted. Every input is fitted on its own: a mask of another size
 * than its picture goes by the same resizeMode.
 *
 * With keepUnmaskedPixels, pixels that the mask leaves black are the (fitted) picture's own bytes;
 * a mask blur then softens inwards only.
 * @throws AppError request.invalid for sizes that differ without a resizeMode, for a mask with
 *   nothing to repaint, and for a mask that is missing or not used by the task.
 */
export function prepareInputs(inputs: ReadInputs, settings: InputSettings): PreparedInputs {
  const { image, mask } = inputs
  if (settings.task === 'ImageToImage') {
    if (mask !== undefined) throw inputError(mask.field, 'is a mask; ImageToImage takes none')
    return prepareImage(image, settings)
  }
  if (mask === undefined) {
    const message = 'needs an input with the role Mask for Inpaint'
    throw new AppError('request.invalid', `inputs ${message}`, {
      fields: [{ path: 'inputs', message }],
    })
  }
  if (settings.inpaintArea === 'MaskedOnly') return prepareRegion({ image, mask }, settings)
  return prepareWhole({ image, mask }, settings)
}

/** What a job hands in, from what the pipeline painted. */
export function finishPicture({ paste }: PreparedInputs, painted: Picture): Picture {
  return paste === undefined ? painted : pastePicture(paste.original, painted, paste)
}

function prepareImage(image: ReadInputs['image'], settings: InputSettings): PreparedInputs {
  const { width, height, resizeMode: mode } = settings
  const fitted = fitPicture(image.picture, { width, height, mode, field: image.field })
  return { image: fitted.picture, changes: [...image.changes, ...fitted.changes] }
}

function prepareWhole({ image, mask }: MaskedInputs, settings: InputSettings): PreparedInputs {
  const { keepUnmaskedPixels = false, width, height } = settings
  const prepared = prepareImage(image, settings)
  const soft = softenMask(mask, settings, prepared.image)
  const region = { left: 0, top: 0, width, height }
  return {
    image: prepared.image,
    mask: soft.mask,
    changes: [...prepared.changes, ...soft.changes],
    ...(keepUnmaskedPixels && {
      paste: { original: prepared.image, region, mask: onlyWhere(soft.hard, soft.mask) },
    }),
  }
}

function prepareRegion({ image, mask }: MaskedInputs, settings: InputSettings): PreparedInputs {
  const { width, height, maskPadding = 32, keepUnmaskedPixels = false } = settings
  const original = image.picture
  const soft = softenMask(mask, settings, original)
  const region = maskedRegion(soft.mask, { width, height, padding: maskPadding })
  const target = { width, height, mode: 'Fit', field: mask.field } as const
  const regionMask = fitMask(cropMask(soft.mask, region), target).mask
  refuseEmpty(regionMask, mask.field)
  return {
    image: fitPicture(cropPicture(original, region), target).picture,
    mask: regionMask,
    changes: [...image.changes, ...soft.changes, `${image.field}: ${describe(region, settings)}`],
    paste: {
      original,
      region,
      mask: keepUnmaskedPixels ? onlyWhere(soft.hard, soft.mask) : soft.mask,
    },
  }
}

type SoftMask = {
  readonly hard: Mask
  readonly mask: Mask
  readonly changes: readonly string[]
}

/** Fits and blurs a mask; `hard` is what it was before the blur. */
function softenMask(read: ReadMask, settings: InputSettings, { width, height }: Size): SoftMask {
  const { resizeMode: mode, maskBlur = 0 } = settings
  const { field } = read
  const fitted = fitMask(read.mask, { width, height, mode, field })
  const mask = blurMask(fitted.mask, maskBlur)
  refuseEmpty(mask, field)
  const blurred = maskBlur === 0 ? [] : [`${field}: blurred by ${maskBlur} pixels`]
  return { hard: fitted.mask, mask, changes: [...read.changes, ...fitted.changes, ...blurred] }
}

/** A blur or a smaller size can also take the last half-white pixel. */
function refuseEmpty(mask: Mask, field: string): void {
  if (!isEmptyMask(mask)) return
  const reason = 'no pixel is at least half white once the mask is fitted and blurred'
  throw inputError(field, `has nothing to repaint: ${reason}`)
}

function onlyWhere(hard: Mask, soft: Mask): Mask {
  return { ...soft, values: soft.values.map((value, at) => (hard.values[at] === 0 ? 0 : value)) }
}

function describe({ left, top, width, height }: Region, job: InputSettings): string {
  const painted = `painted at ${job.width}x${job.height}`
  return `only the region of ${width}x${height} at ${left},${top} is repainted, ${painted}`
}
