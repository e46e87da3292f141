import { z } from 'zod'
import { packError } from '../models/pack-error.ts'
import type { LayerName, LoraComponent } from './layer-names.ts'

/** Key of the safetensors metadata under which diffusers keeps PEFT's settings. */
const metadataKey = 'lora_adapter_metadata'

const settingsSchema = z.object({
  lora_alpha: z.number().optional(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
  rank_pattern: z.record(z.string(), z.int().positive()).nullish(),
  use_rslora: z.boolean().nullish(),
  use_dora: z.boolean().nullish(),
})

/** What PEFT knew about the layers of one component. */
export type PeftSettings = z.infer<typeof settingsSchema>

/**
 * Settings by component, from the metadata JSON with keys such as `unet.lora_alpha`. Empty when
 * there are none. The rank of a layer is that of its tensors, so `rank_pattern` is only checked.
 */
export function readPeftSettings(
  metadata: Readonly<Record<string, string>>,
  file: string,
): ReadonlyMap<LoraComponent, PeftSettings> {
  const text = metadata[metadataKey]
  if (text === undefined) return new Map()
  const values = parseObject(text, file)
  const components = ['unet', 'text_encoder', 'text_encoder_2'] as const
  return new Map(
    components.map((component) => [component, readComponent(values, { component, file })]),
  )
}

/** Alpha of a layer; undefined where PEFT says nothing. A pattern names the end of a path. */
export function alphaOf(
  settings: PeftSettings | undefined,
  { path }: LayerName,
): number | undefined {
  const patterns = Object.entries(settings?.alpha_pattern ?? {})
  const own = patterns.find(([pattern]) => path === pattern || path.endsWith(`.${pattern}`))
  return own?.[1] ?? settings?.lora_alpha
}

function readComponent(
  values: Readonly<Record<string, unknown>>,
  { component, file }: { readonly component: LoraComponent; readonly file: string },
): PeftSettings {
  const own = Object.entries(values).flatMap(([key, value]) =>
    key.startsWith(`${component}.`) ? [[key.slice(component.length + 1), value] as const] : [],
  )
  const parsed = settingsSchema.safeParse(Object.fromEntries(own))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const field = `${metadataKey}.${component}.${issue.path.join('.')}`.slice(0, 200)
    throw packError({ file, field, cause: parsed.error }, issue.message)
  }
  const pattern = Object.keys(parsed.data.alpha_pattern ?? {}).find((key) => !/^[\w.]+$/.test(key))
  if (pattern === undefined) return parsed.data
  const field = `${metadataKey}.${component}.alpha_pattern`
  throw packError({ file, field }, `“${pattern.slice(0, 80)}” is not the plain name of a layer`)
}

function parseObject(text: string, file: string): Readonly<Record<string, unknown>> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text))
  } catch (cause) {
    throw packError({ file, field: metadataKey, cause }, 'not a JSON object')
  }
}
