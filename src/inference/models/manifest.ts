import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { labelName, sha256 } from '../../shared/crd/common.ts'
import { task, tasks } from '../../shared/crd/generation-job.ts'
import { modelFamilies, modelSpec } from '../../shared/crd/model.ts'
import { packError } from './pack-error.ts'

export const manifestName = 'atelier-model.json'

/** A path inside the pack: plain names with slashes, never upwards and never hidden. */
const packPath = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/, 'leads out of the pack')

const packFile = z.strictObject({ path: packPath, sha256, sizeBytes: z.int().min(0) })

/** FlowMatch is known to the platform, but not to this engine. */
const family = z.enum(modelFamilies).refine((name) => name !== 'FlowMatch', {
  error: 'FlowMatch models have a transformer, for which this engine has no pipeline yet',
})

/** An SPDX expression; what SPDX does not list is `LicenseRef-` and a name. */
const licence = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9][A-Za-z0-9.+-]*( (AND|OR|WITH) [A-Za-z0-9][A-Za-z0-9.+-]*)*$/, {
    error: 'must be an SPDX expression, such as Apache-2.0 or LicenseRef-OpenRAIL-M',
  })

const byteCount = z
  .int()
  .min(0)
  .max(2 ** 50)
const rgb = z.tuple([z.number(), z.number(), z.number()])

const common = {
  schemaVersion: z.literal(1),
  /** Also the Model resource's. */
  name: labelName,
  description: z.string().max(2000),
  family,
  licence,
  files: z
    .array(packFile)
    .min(1)
    .max(1000)
    .superRefine((files, context) => {
      const paths = files.map((file) => file.path)
      const index = paths.findIndex((one, at) => paths.indexOf(one) < at)
      if (index < 0) return
      context.addIssue({ code: 'custom', path: [index, 'path'], message: 'is listed twice' })
    }),
}

const baseManifest = z.strictObject({
  ...common,
  type: z.literal('Base'),
  tasks: z.array(task).min(1).max(tasks.length),
  defaults: modelSpec.shape.defaults.unwrap(),
  sizes: modelSpec.shape.sizes.unwrap(),
  /** What a pod needs: see memory-need.ts for the sum. */
  memory: z.strictObject({ loadedBytes: byteCount, perMegapixelBytes: byteCount }),
  /** A linear map of latents to colours in −1..1: a row of red, green, blue for each channel. */
  preview: z.strictObject({ rgbFactors: z.array(rgb).min(1).max(64), rgbBias: rgb }).optional(),
})
/** What the folder of a base model says about itself; the Model resource takes its values. */
export type Manifest = z.infer<typeof baseManifest>

const loraManifest = z.strictObject({
  ...common,
  type: z.literal('Lora'),
  /** Words of a prompt that the LoRA was trained with. */
  triggerWords: z.array(z.string().min(1).max(64)).max(32).optional(),
})
/** A LoRA: exactly one .safetensors file, for base models of its family. */
export type LoraManifest = z.infer<typeof loraManifest>

const anyManifest = z.discriminatedUnion('type', [baseManifest, loraManifest])
export type AnyManifest = Manifest | LoraManifest

/** `digest` is the SHA-256 of the manifest file itself, which a Model resource names. */
export type Read<Content> = { readonly manifest: Content; readonly digest: string }
export type ReadManifest = Read<Manifest>

/** @throws AppError model.pack_invalid for a family that is unknown or not supported. */
export function readFamily(text: string): Manifest['family'] {
  const result = family.safeParse(text)
  if (result.success) return result.data
  throw packError({ file: manifestName, field: 'family' }, result.error.issues[0].message)
}

/** Reads the manifest of a base model's folder. @throws AppError model.pack_invalid */
export async function readManifest(folder: string): Promise<ReadManifest> {
  const { manifest, digest } = await readAnyManifest(folder)
  if (manifest.type === 'Base') return { manifest, digest }
  throw packError({ file: manifestName, field: 'type' }, 'is Lora; a base model is needed here')
}

/** Reads the manifest of a LoRA's folder. @throws AppError model.pack_invalid */
export async function readLoraManifest(folder: string): Promise<Read<LoraManifest>> {
  const { manifest, digest } = await readAnyManifest(folder)
  if (manifest.type === 'Lora') return { manifest, digest }
  throw packError({ file: manifestName, field: 'type' }, 'is Base; a LoRA is needed here')
}

export async function readAnyManifest(folder: string): Promise<Read<AnyManifest>> {
  const bytes = await readFile(path.join(folder, manifestName)).catch((cause: unknown) => {
    throw packError({ file: manifestName, cause }, `is missing in ${folder}`)
  })
  const manifest = parseManifestFile(bytes)
  return { manifest, digest: createHash('sha256').update(bytes).digest('hex') }
}

/** @throws AppError model.pack_invalid */
export function parseManifestFile(bytes: Buffer): AnyManifest {
  return parseManifest(parseJson(bytes))
}

/** @throws AppError model.pack_invalid that names the field. */
export function parseManifest(value: unknown): AnyManifest {
  const result = anyManifest.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw packError({ file: manifestName, field: fieldOf(issue.path) }, issue.message)
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw packError({ file: manifestName, cause }, 'not valid JSON')
  }
}

/** `files[3].sha256` */
function fieldOf(keys: readonly PropertyKey[]): string {
  const parts = keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
  return parts.join('').replace(/^\./, '')
}
