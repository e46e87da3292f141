import { gaussianBlur } from './gaussian-blur.ts'
import type { Picture, Size } from './picture.ts'
import { describePlacement, type FitOptions, placeRaster, planPlacement } from './placement.ts'
import { readPixels } from './read-picture.ts'

/** One byte per pixel, row by row: 0 keeps the picture, 255 repaints it. */
export type Mask = Size & { readonly values: Uint8Array }

export type ReadMask = {
  readonly field: string
  readonly mask: Mask
  readonly changes: readonly string[]
}

/** Bilinear, because Lanczos would ring: faint echoes of an edge where the mask was black. */
const filter = 'Bilinear'
/** Half white: from here on pipelines repaint. */
const repaintedFrom = 128

/**
 * Reads a mask file; formats and errors as in readPicture. White is repainted, and grey values are
 * kept. Where the file is not opaque, one of three holds:
 *
 * | alpha            | colour           | value of the mask                                     |
 * | ---------------- | ---------------- | ----------------------------------------------------- |
 * | same everywhere  | any              | the grey value                                        |
 * | differs          | same everywhere  | alpha: painted (opaque) is repainted, whatever colour |
 * | differs          | differs          | the grey value as seen on black: transparent is kept  |
 *
 * Grey is Pillow's L: (19595 R + 38470 G + 7471 B) / 65536, rounded (ITU-R BT.601).
 */
export async function readMask(bytes: Uint8Array, field: string): Promise<ReadMask> {
  const { picture, alpha, changes } = await readPixels(bytes, field)
  const { width, height } = picture
  const layer = alpha === null || isUniform(alpha, 1) ? undefined : alpha
  if (layer === undefined)
    return { field, mask: { width, height, values: toGrey(picture) }, changes }
  const isAlpha = isUniform(picture.pixels, 3)
  const values = isAlpha ? layer : seenOnBlack(toGrey(picture), layer)
  const change = isAlpha ? 'mask taken from alpha' : 'mask taken from the colours as seen on black'
  return { field, mask: { width, height, values }, changes: [...changes, `${field}: ${change}`] }
}

/**
 * Brings a mask to `width` × `height` by the rule for pictures (see fitPicture).
 * @throws AppError request.invalid when the sizes differ and there is no mode.
 */
export function fitMask(mask: Mask, options: FitOptions): Omit<ReadMask, 'field'> {
  const { width, height, values } = mask
  const placement = planPlacement(mask, options)
  const placed = placeRaster({ width, height, channels: 1, samples: values }, placement, filter)
  return {
    mask: { width: placed.width, height: placed.height, values: placed.samples },
    changes: describePlacement(mask, placement, filter).map((text) => `${options.field}: ${text}`),
  }
}

/** Softens a mask by `radius` pixels, as Pillow's GaussianBlur. */
export function blurMask(mask: Mask, radius: number): Mask {
  return { ...mask, values: gaussianBlur(mask, radius) }
}

/** Whether a pipeline would repaint nothing. */
export function isEmptyMask({ values }: Mask): boolean {
  return values.every((value) => value < repaintedFrom)
}

function toGrey({ width, height, pixels }: Picture): Uint8Array {
  const values = new Uint8Array(width * height)
  for (let at = 0; at < values.length; at++) {
    const [red, green, blue] = [pixels[at * 3], pixels[at * 3 + 1], pixels[at * 3 + 2]]
    values[at] = (red * 19_595 + green * 38_470 + blue * 7471 + 32_768) >> 16
  }
  return values
}

function seenOnBlack(grey: Uint8Array, alpha: Uint8Array): Uint8Array {
  return grey.map((value, at) => Math.round((value * alpha[at]) / 255))
}

/** Whether every pixel has the first one's channels. */
function isUniform(samples: Uint8Array, channels: number): boolean {
  return samples.every((value, at) => value === samples[at % channels])
}
