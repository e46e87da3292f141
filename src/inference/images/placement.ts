import { inputError } from './input-error.ts'
import { formatSize, isSameSize, type Raster, type Size } from './picture.ts'
import { type ResizeFilter, resizeRaster } from './resize.ts'
import { unreachable } from '../../shared/assert.ts'

/** How an input comes to another size: all of it inside, all of the target covered, or stretched. */
export type ResizeMode = 'Fit' | 'Fill' | 'Stretch'

/** A size to reach. Without a mode, only what has that size already. */
export type FitOptions = Size & {
  readonly mode: ResizeMode | undefined
  /** The parameter that holds the input, such as `inputs[0]`. */
  readonly field: string
}

/** The target, and where in it the scaled input lies: negative when it reaches over the edge. */
export type Placement = Size & {
  readonly scaled: Size
  readonly left: number
  readonly top: number
}

/**
 * Plans as diffusers' VaeImageProcessor does: sides rounded down, halves of both centred.
 * @throws AppError request.invalid, naming both sizes, when they differ and no mode is given:
 *   nothing is resized in silence.
 */
export function planPlacement(source: Size, options: FitOptions): Placement {
  const { width, height, mode, field } = options
  if (isSameSize(source, options)) return { width, height, scaled: source, left: 0, top: 0 }
  if (mode === undefined) {
    const sizes = `is ${formatSize(source)} and must be ${formatSize(options)}`
    throw inputError(field, `${sizes}; say by resizeMode: Fit, Fill or Stretch`)
  }
  const scaled = scale(source, options, mode)
  const left = Math.floor(width / 2) - Math.floor(scaled.width / 2)
  const top = Math.floor(height / 2) - Math.floor(scaled.height / 2)
  return { width, height, scaled, left, top }
}

function scale(source: Size, target: Size, mode: ResizeMode): Size {
  const isWider = source.width * target.height > target.width * source.height
  const byWidth = Math.max(1, Math.floor((source.height * target.width) / source.width))
  const byHeight = Math.max(1, Math.floor((source.width * target.height) / source.height))
  switch (mode) {
    case 'Fit':
      return isWider
        ? { width: target.width, height: byWidth }
        : { width: byHeight, height: target.height }
    case 'Fill':
      return isWider
        ? { width: byHeight, height: target.height }
        : { width: target.width, height: byWidth }
    case 'Stretch':
      return { width: target.width, height: target.height }
    default:
      return unreachable(mode)
  }
}

/** Scales, then repeats the edge pixels outwards or cuts off what reaches over the edge. */
export function placeRaster(source: Raster, placement: Placement, filter: ResizeFilter): Raster {
  const { scaled, left, top } = placement
  if (isSameSize(source, scaled) && isSameSize(source, placement)) return source
  const window = {
    left: Math.max(0, -left),
    top: Math.max(0, -top),
    width: Math.min(scaled.width, placement.width),
    height: Math.min(scaled.height, placement.height),
  }
  return repeatEdges(resizeRaster(source, { ...scaled, filter, window }), placement)
}

function repeatEdges(source: Raster, placement: Placement): Raster {
  if (isSameSize(source, placement)) return source
  const { width, height, left, top } = placement
  const { channels } = source
  const samples = new Uint8Array(width * height * channels)
  for (let at = 0; at < width * height; at++) {
    const x = clampIndex((at % width) - left, source.width)
    const y = clampIndex(Math.floor(at / width) - top, source.height)
    const from = (y * source.width + x) * channels
    for (let channel = 0; channel < channels; channel++) {
      samples[at * channels + channel] = source.samples[from + channel]
    }
  }
  return { width, height, channels, samples }
}

function clampIndex(index: number, count: number): number {
  return Math.min(Math.max(index, 0), count - 1)
}

/** What a placement does to an input, for the output of the job; nothing when sizes agree. */
export function describePlacement(
  source: Size,
  placement: Placement,
  filter: ResizeFilter,
): readonly string[] {
  const { scaled } = placement
  if (isSameSize(source, scaled) && isSameSize(scaled, placement)) return []
  const resized = `resized from ${formatSize(source)} to ${formatSize(scaled)} (${filter})`
  if (isSameSize(scaled, placement)) return [resized]
  const isInside = scaled.width <= placement.width && scaled.height <= placement.height
  const rest = isInside ? 'edges repeated' : 'cropped'
  return [`${resized}, ${rest} to ${formatSize(placement)}`]
}
