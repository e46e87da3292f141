import type { Size } from '../images/picture.ts'
import type { GenerateRequest } from '../runner/protocol.ts'
import { strengthOf } from '../pipelines/request.ts'

export type MadePicture = { readonly picture: Size; readonly seed: number }
type Pair = readonly [string, string | number | undefined]

/**
 * The `parameters` text in the form of AUTOMATIC1111's web UI, which many viewers and managers
 * read: prompt, negative prompt, then one line of `Key: value` pairs.
 */
export function formatRecipe(request: GenerateRequest, made: MadePicture): string {
  const { prompt, negativePrompt = '', model } = request
  const pairs: readonly Pair[] = [
    ['Steps', request.steps],
    ['Sampler', request.scheduler ?? 'model default'],
    ['CFG scale', request.guidanceScale],
    ['Seed', made.seed],
    ['Size', `${made.picture.width}x${made.picture.height}`],
    // The first ten digits of the manifest's SHA-256 are written, as others do.
    ['Model hash', model.digest?.slice(0, 10)],
    ['Model', model.name],
    ...inputPairs(request),
    ['LoRA', request.loras.map(({ name, scale }) => `${name}:${scale}`).join(', ') || undefined],
    ['Version', 'atelier'],
  ]
  const negative = negativePrompt === '' ? '' : `Negative prompt: ${negativePrompt}\n`
  const line = pairs.flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}: ${quote(String(value))}`],
  )
  return `${prompt}\n${negative}${line.join(', ')}`
}

function inputPairs(request: GenerateRequest): readonly Pair[] {
  const { task, resizeMode, maskBlur, inpaintArea, maskPadding } = request
  if (task === 'TextToImage') return []
  const shared: readonly Pair[] = [
    ['Denoising strength', strengthOf(request)],
    ['Resize mode', resizeMode],
  ]
  if (task === 'ImageToImage') return shared
  const onlyMasked = inpaintArea === 'MaskedOnly'
  return [
    ...shared,
    ['Mask blur', maskBlur],
    ['Inpaint area', onlyMasked ? 'Only masked' : undefined],
    ['Masked area padding', onlyMasked ? maskPadding : undefined],
  ]
}

/** Values that hold a separator are written as JSON texts. */
function quote(value: string): string {
  return /[,:\n]/.test(value) ? JSON.stringify(value) : value
}
