import { type Picture, type Raster, type Size, toPicture, toRaster } from './picture.ts'

export type ResizeFilter = 'Nearest' | 'Bilinear' | 'Bicubic' | 'Lanczos'

/** A part of a raster, in pixels. */
export type Region = Size & { readonly left: number; readonly top: number }

type Target = Size & {
  readonly filter: ResizeFilter
  /** The part of the resized raster that is wanted; absent: all of it. */
  readonly window?: Region
}

/** One side: from `from` to `to` samples, of which `count` after the first `skip` are wanted. */
type Side = {
  readonly from: number
  readonly to: number
  readonly skip: number
  readonly count: number
}

/** Which samples make each wanted one: `sizes[i]` of them from `firsts[i]`, `span` weights apart. */
type Taps = {
  readonly firsts: Int32Array
  readonly sizes: Int32Array
  readonly weights: Int32Array
  readonly span: number
}

type Kernel = { readonly support: number; readonly weigh: (distance: number) => number }

/** Weights are whole multiples of 2^-22: eight bits of value and two of headroom fill 32 bits. */
const weightBits = 22
const one = 2 ** weightBits
const half = one / 2

const kernels: Readonly<Record<Exclude<ResizeFilter, 'Nearest'>, Kernel>> = {
  Bilinear: { support: 1, weigh: weighBilinear },
  Bicubic: { support: 2, weigh: weighBicubic },
  Lanczos: { support: 3, weigh: weighLanczos },
}

/**
 * Resizes 8-bit samples exactly as Pillow does: one side, then the other, each rounded to 8 bits;
 * weights in fixed point; when shrinking, the kernel is as wide as the samples it replaces. With a
 * window, the same bytes as resizing everything and cutting the window out, without the rest.
 * Source: Pillow 13.0, src/libImaging/Resample.c and (nearest) Geometry.c.
 */
export function resizeRaster(source: Raster, target: Target): Raster {
  if (shrinksDown(source, target)) return resizeAcross(resizeDown(source, target), target)
  return resizeDown(resizeAcross(source, target), target)
}

/** When Pillow takes the height first: since 13.0, where it loses over twice the width's pixels. */
function shrinksDown(source: Size, target: Size): boolean {
  const lost = source.height - target.height
  return lost > 0 && lost > (source.width - target.width) * 2
}

function resizeAcross(source: Raster, { width, filter, window }: Target): Raster {
  const { channels, height, samples } = source
  const count = window?.width ?? width
  const taps = tapSide({ from: source.width, to: width, skip: window?.left ?? 0, count }, filter)
  const result = resample(samples, { length: source.width, step: channels }, taps)
  return { width: count, height, channels, samples: result }
}

function resizeDown(source: Raster, { height, filter, window }: Target): Raster {
  const { channels, width, samples } = source
  const count = window?.height ?? height
  const taps = tapSide({ from: source.height, to: height, skip: window?.top ?? 0, count }, filter)
  const result = resample(samples, { length: source.height, step: width * channels }, taps)
  return { width, height: count, channels, samples: result }
}

export function resizePicture(picture: Picture, target: Target): Picture {
  return toPicture(resizeRaster(toRaster(picture), target))
}

/** Along one side: lines of `length` samples, neighbours `step` bytes apart. */
function resample(
  samples: Uint8Array,
  { length, step }: { readonly length: number; readonly step: number },
  taps: Taps,
): Uint8Array {
  const count = taps.firsts.length
  const lines = samples.length / (length * step)
  // A clamped array does what Pillow's table of clipped values does.
  const result = new Uint8ClampedArray(lines * count * step)
  for (let at = 0, row = 0; row < lines * count; row++) {
    const index = row % count
    const start = (Math.floor(row / count) * length + taps.firsts[index]) * step
    for (let offset = 0; offset < step; offset++, at++) {
      result[at] = sum(start + offset, index) >> weightBits
    }
  }
  return new Uint8Array(result.buffer)

  function sum(start: number, index: number): number {
    const base = index * taps.span
    const size = taps.sizes[index]
    let total = half
    for (let tap = 0, from = start; tap < size; tap++, from += step) {
      total += samples[from] * taps.weights[base + tap]
    }
    return total
  }
}

function tapSide(side: Side, filter: ResizeFilter): Taps {
  return filter === 'Nearest' ? tapNearest(side) : tapKernel(side, kernels[filter])
}

function tapKernel({ from, to, skip, count }: Side, { support, weigh }: Kernel): Taps {
  const scale = from / to
  const stretch = Math.max(scale, 1)
  const reach = support * stretch
  const span = Math.ceil(reach) * 2 + 1
  const taps = emptyTaps(count, span)
  for (let index = 0; index < count; index++) {
    const centre = (skip + index + 0.5) * scale
    const first = Math.max(0, Math.trunc(centre - reach + 0.5))
    const size = Math.min(from, Math.trunc(centre + reach + 0.5)) - first
    const weights = Array.from({ length: size }, (_, tap) =>
      weigh((tap + first - centre + 0.5) * (1 / stretch)),
    )
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    taps.firsts[index] = first
    taps.sizes[index] = size
    taps.weights.set(
      weights.map((weight) => toFixedPoint(weight / total)),
      index * span,
    )
  }
  return taps
}

/** Steps are added up, as Pillow does, because at the end of a long side the sum is not i · step. */
function tapNearest({ from, to, skip, count }: Side): Taps {
  const taps = emptyTaps(count, 1)
  const step = from / to
  for (let index = -skip, at = step * 0.5; index < count; index++, at += step) {
    if (index < 0) continue
    taps.firsts[index] = Math.min(Math.trunc(at), from - 1)
    taps.sizes[index] = 1
    taps.weights[index] = one
  }
  return taps
}

function emptyTaps(count: number, span: number): Taps {
  const weights = new Int32Array(count * span)
  return { firsts: new Int32Array(count), sizes: new Int32Array(count), weights, span }
}

/** Halves go away from zero. */
function toFixedPoint(weight: number): number {
  return Math.trunc(weight * one + (weight < 0 ? -0.5 : 0.5))
}

function weighBilinear(distance: number): number {
  return Math.max(0, 1 - Math.abs(distance))
}

/** Keys 1981 with a = −0.5. */
function weighBicubic(distance: number): number {
  const a = -0.5
  const x = Math.abs(distance)
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
}

function weighLanczos(distance: number): number {
  if (distance < -3 || distance >= 3) return 0
  return sinc(distance) * sinc(distance / 3)
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI)
}
