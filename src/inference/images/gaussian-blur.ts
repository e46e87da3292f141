import type { Size } from './picture.ts'

/** One byte per pixel, row by row. */
type Plane = Size & { readonly values: Uint8Array }

/** `lines` runs of `length` values: neighbours `step` apart, the first values `stride` apart. */
type Lines = {
  readonly lines: number
  readonly length: number
  readonly step: number
  readonly stride: number
}

/** A box that reaches `radius` whole values to each side, and a part of the next ones. */
type Box = { readonly radius: number; readonly full: number; readonly part: number }

const passes = 3
const weightBits = 24
const one = 2 ** weightBits

/**
 * Blurs by a Gaussian of `radius` pixels (its standard deviation), byte for byte as Pillow's
 * GaussianBlur: three box blurs across, then three down, edges repeated, each rounded to 8 bits.
 * Sources: Gwosdek et al., Theoretical foundations of Gaussian convolution by extended box
 * filtering (2011), eq. 14; the rounding is that of Pillow 13, src/libImaging/BoxBlur.c.
 */
export function gaussianBlur({ width, height, values }: Plane, radius: number): Uint8Array {
  if (radius === 0) return values
  const box = boxOf(radius)
  const across = blurLines(values, { lines: height, length: width, step: 1, stride: width }, box)
  return blurLines(across, { lines: width, length: height, step: width, stride: 1 }, box)
}

/** The box whose three-fold blur has the Gaussian's variance. Single precision, as there. */
function boxOf(gaussianRadius: number): Box {
  const variance = Math.fround(Math.fround(gaussianRadius * gaussianRadius) / passes)
  const ideal = Math.fround(Math.sqrt(12 * variance + 1))
  const whole = Math.fround(Math.floor((ideal - 1) / 2))
  const rest = Math.fround((2 * whole + 1) * (whole * (whole + 1) - 3 * variance))
  const share = Math.fround(rest / Math.fround(6 * (variance - (whole + 1) * (whole + 1))))
  const size = Math.fround(whole + share)
  const radius = Math.trunc(size)
  const full = Math.trunc(Math.fround(one / Math.fround(size * 2 + 1)))
  return { radius, full, part: Math.trunc((one - (radius * 2 + 1) * full) / 2) }
}

/** A line is copied out, so that its passes run through near memory in both directions. */
function blurLines(values: Uint8Array, lines: Lines, box: Box): Uint8Array {
  const { length, step } = lines
  const blurred = new Uint8Array(values.length)
  let [source, target] = [new Uint8Array(length), new Uint8Array(length)]
  for (let line = 0; line < lines.lines; line++) {
    const start = line * lines.stride
    for (let at = 0; at < length; at++) source[at] = values[start + at * step]
    for (let pass = 0; pass < passes; pass++) {
      blurOnce(source, target, box)
      ;[source, target] = [target, source]
    }
    for (let at = 0; at < length; at++) blurred[start + at * step] = source[at]
  }
  return blurred
}

function blurOnce(source: Uint8Array, target: Uint8Array, { radius, full, part }: Box): void {
  const last = source.length - 1
  let inside = 0
  for (let at = -radius; at <= radius; at++) inside += source[Math.min(Math.max(at, 0), last)]
  for (let at = 0; at <= last; at++) {
    const next = source[Math.min(at + radius + 1, last)]
    const outside = source[Math.max(at - radius - 1, 0)] + next
    target[at] = (inside * full + outside * part + one / 2) / one
    inside += next - source[Math.max(at - radius, 0)]
  }
}
