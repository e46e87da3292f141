import { AppError } from '../../shared/errors.ts'
import type { Feed } from '../runtime/component.ts'
import type { LoraTarget } from './inject.ts'
import type { LoraComponent } from './layer-names.ts'
import type { Lora, LoraLayer } from './read-lora.ts'

export type ScaledLora = { readonly lora: Lora; readonly scale: number }

/** One LoRA's share of a target, `factor` with the scale in it. */
type Part = { readonly layer: LoraLayer; readonly factor: number }

/** Rank 0 for a linear layer is a product over nothing, which onnxruntime makes zero. */
const linearRankMin = 0
/**
 * Not so for a convolution: onnxruntime 1.30 leaves its output unwritten when no channel goes in.
 * One channel of zeros is the smallest rank there.
 */
const convolutionRankMin = 1
const namesShown = 3

/**
 * Values for all inputs that injectLora made for a component. Several LoRAs of one layer stand one
 * after another along the rank, so their products add up; scale · alpha / rank is multiplied into
 * `up`. Layers that no LoRA changes get an empty (convolutions: zero) one. Throws
 * inference.unsupported naming the layers of a LoRA that this component has not or has in another
 * shape. Layers of other components are not looked at; see loraComponents.
 */
export function loraFeeds(
  targets: readonly LoraTarget[],
  component: LoraComponent,
  loras: readonly ScaledLora[],
): Readonly<Record<string, Feed>> {
  const byKey = new Map(targets.flatMap((target) => target.keys.map((key) => [key, target])))
  const parts = new Map<LoraTarget, Part[]>(targets.map((target) => [target, []]))
  for (const { lora, scale } of loras) {
    const own = lora.layers.filter((layer) => layer.component === component)
    checkFound(
      lora,
      own.filter((layer) => !byKey.has(layer.key)),
      component,
    )
    for (const layer of own) {
      const target = byKey.get(layer.key)
      if (target === undefined) continue
      checkShape(lora, layer, target)
      if (scale !== 0) parts.get(target)?.push({ layer, factor: scale * layer.factor })
    }
  }
  return Object.fromEntries(Array.from(parts, ([target, own]) => feedsOf(target, own)).flat())
}

/** The components that a LoRA changes; whoever asks for it must have opened them with inputs. */
export function loraComponents(lora: Lora): ReadonlySet<LoraComponent> {
  return new Set(lora.layers.map(({ component }) => component))
}

function feedsOf(target: LoraTarget, parts: readonly Part[]): readonly (readonly [string, Feed])[] {
  const ranks = parts.reduce((sum, { layer }) => sum + layer.rank, 0)
  return target.kind === 'linear'
    ? linearFeeds(target, parts, Math.max(ranks, linearRankMin))
    : convolutionFeeds(target, parts, Math.max(ranks, convolutionRankMin))
}

/** torch keeps both weights the other way round than a product from the right wants them. */
function linearFeeds(
  { down, up, inSize, outSize }: LoraTarget,
  parts: readonly Part[],
  rank: number,
): readonly (readonly [string, Feed])[] {
  const downValues = new Float32Array(inSize * rank)
  const upValues = new Float32Array(rank * outSize)
  let offset = 0
  for (const { layer, factor } of parts) {
    layer.down.values.forEach((value, i) => {
      downValues[(i % inSize) * rank + offset + Math.floor(i / inSize)] = value
    })
    layer.up.values.forEach((value, i) => {
      const row = offset + (i % layer.rank)
      upValues[row * outSize + Math.floor(i / layer.rank)] = value * factor
    })
    offset += layer.rank
  }
  return [
    [down, { data: downValues, shape: [inSize, rank] }],
    [up, { data: upValues, shape: [rank, outSize] }],
  ]
}

function convolutionFeeds(
  { down, up, inSize, outSize, kernel }: LoraTarget,
  parts: readonly Part[],
  rank: number,
): readonly (readonly [string, Feed])[] {
  const channelSize = inSize * kernel[0] * kernel[1]
  const downValues = new Float32Array(rank * channelSize)
  const upValues = new Float32Array(outSize * rank)
  let offset = 0
  for (const { layer, factor } of parts) {
    downValues.set(layer.down.values, offset * channelSize)
    layer.up.values.forEach((value, i) => {
      upValues[Math.floor(i / layer.rank) * rank + offset + (i % layer.rank)] = value * factor
    })
    offset += layer.rank
  }
  return [
    [down, { data: downValues, shape: [rank, inSize, ...kernel] }],
    [up, { data: upValues, shape: [outSize, rank, 1, 1] }],
  ]
}

function checkFound(lora: Lora, missing: readonly LoraLayer[], component: LoraComponent): void {
  if (missing.length === 0) return
  const names = missing.slice(0, namesShown).map(({ name }) => name.slice(0, 200))
  const more = missing.length > namesShown ? ` and ${missing.length - namesShown} more` : ''
  throw misfit(lora, names[0], `${component} has no layer for ${names.join(', ')}${more}`)
}

function checkShape(lora: Lora, { name, down, up }: LoraLayer, target: LoraTarget): void {
  const given = [up.shape[0], ...down.shape.slice(1)]
  const wanted = [target.outSize, target.inSize, ...target.kernel]
  // A product and a 1×1 convolution are the same thing; files have either shape for either.
  const isSame = [...given, 1, 1].slice(0, 4).join() === wanted.join()
  if (isSame) return
  const problem = `is for a weight of [${given.join(', ')}], ${target.module} has one of`
  throw misfit(lora, name, `${name.slice(0, 200)} ${problem} [${wanted.join(', ')}]`)
}

function misfit(lora: Lora, name: string, problem: string): AppError {
  const message = `${lora.file} does not fit this model: ${problem}`
  const path = `${lora.file}#${name.slice(0, 200)}`
  return new AppError('inference.unsupported', message, { fields: [{ path, message: problem }] })
}
