import { assert } from '../../shared/assert.ts'
import type { Mask } from './mask.ts'
import { type Picture, type Raster, type Size, toPicture, toRaster } from './picture.ts'
import type { Region } from './resize.ts'

/** From `from` up to and without `to`. */
type Range = { readonly from: number; readonly to: number }

/**
 * The part of a picture that is repainted: the box of the mask's values above 0, with `padding`
 * pixels around, then its shorter side grown towards `width`:`height`, moved or cut to stay inside.
 * Source: diffusers 0.42, VaeImageProcessor.get_crop_region, the same numbers.
 */
export function maskedRegion(mask: Mask, target: Size & { readonly padding: number }): Region {
  const across = padRange(usedColumns(mask), target.padding, mask.width)
  const down = padRange(usedRows(mask), target.padding, mask.height)
  const proportion = target.width / target.height
  if (length(across) / length(down) > proportion) {
    return toRegion(across, growRange(down, length(across) / proportion, mask.height))
  }
  return toRegion(growRange(across, length(down) * proportion, mask.width), down)
}

export function cropPicture(picture: Picture, region: Region): Picture {
  return toPicture(cropRaster(toRaster(picture), region))
}

export function cropMask({ width, height, values }: Mask, region: Region): Mask {
  const cropped = cropRaster({ width, height, channels: 1, samples: values }, region)
  return { width: region.width, height: region.height, values: cropped.samples }
}

function cropRaster({ width, height, channels, samples }: Raster, region: Region): Raster {
  assert(region.left >= 0 && region.left + region.width <= width, 'a region lies inside, across')
  assert(region.top >= 0 && region.top + region.height <= height, 'a region lies inside, down')
  const stride = region.width * channels
  const cropped = new Uint8Array(stride * region.height)
  for (let row = 0; row < region.height; row++) {
    const from = ((region.top + row) * width + region.left) * channels
    cropped.set(samples.subarray(from, from + stride), row * stride)
  }
  return { width: region.width, height: region.height, channels, samples: cropped }
}

function usedRows({ width, values }: Mask): Range {
  const first = values.findIndex((value) => value > 0)
  assert(first >= 0, 'a region needs a mask that is not black')
  const last = values.findLastIndex((value) => value > 0)
  return { from: Math.floor(first / width), to: Math.floor(last / width) + 1 }
}

/** Each row only looks where no row before found anything. */
function usedColumns({ width, height, values }: Mask): Range {
  let [from, to] = [width, 0]
  for (let start = 0; start < width * height; start += width) {
    const found = values.subarray(start, start + from).findIndex((value) => value > 0)
    if (found >= 0) from = found
    to += values.subarray(start + to, start + width).findLastIndex((value) => value > 0) + 1
  }
  return { from, to }
}

function padRange({ from, to }: Range, padding: number, limit: number): Range {
  return { from: Math.max(0, from - padding), to: Math.min(limit, to + padding) }
}

/** Half of the growth goes to each side, as far as there is room. */
function growRange(range: Range, wanted: number, limit: number): Range {
  const growth = Math.trunc(wanted - length(range))
  const size = Math.min(length(range) + growth, limit)
  const from = Math.min(Math.max(0, range.from - Math.floor(growth / 2)), limit - size)
  return { from, to: from + size }
}

function length({ from, to }: Range): number {
  return to - from
}

function toRegion(across: Range, down: Range): Region {
  return { left: across.from, top: down.from, width: length(across), height: length(down) }
}
