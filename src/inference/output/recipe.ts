export type Recipe = {
  readonly prompt: string
  readonly negativePrompt: string
  readonly steps: number
  readonly scheduler: string
  readonly guidanceScale: number
  readonly seed: number
  readonly width: number
  readonly height: number
  readonly model: string
  /** SHA-256 of the pack's manifest; its first ten digits are written, as others do. */
  readonly modelDigest?: string
}

/**
 * The `parameters` text in the form of AUTOMATIC1111's web UI, which many viewers and managers
 * read: prompt, negative prompt, then one line of `Key: value` pairs.
 */
export function formatRecipe(recipe: Recipe): string {
  const pairs: readonly (readonly [string, string | number])[] = [
    ['Steps', recipe.steps],
    ['Sampler', recipe.scheduler],
    ['CFG scale', recipe.guidanceScale],
    ['Seed', recipe.seed],
    ['Size', `${recipe.width}x${recipe.height}`],
    ...(recipe.modelDigest === undefined
      ? []
      : [['Model hash', recipe.modelDigest.slice(0, 10)] as const]),
    ['Model', recipe.model],
    ['Version', 'atelier'],
  ]
  const negative = recipe.negativePrompt === '' ? '' : `Negative prompt: ${recipe.negativePrompt}\n`
  const line = pairs.map(([key, value]) => `${key}: ${quote(String(value))}`).join(', ')
  return `${recipe.prompt}\n${negative}${line}`
}

/** Values that hold a separator are written as JSON texts. */
function quote(value: string): string {
  return /[,:\n]/.test(value) ? JSON.stringify(value) : value
}
