import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { sha256 } from '../../shared/crd/common.ts'
import { modelSpec } from '../../shared/crd/model.ts'
import { packError } from './pack-error.ts'

export const manifestName = 'atelier-model.json'

/** A path inside the pack: plain names with slashes, never upwards and never hidden. */
const packPath = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/, 'leads out of the pack')

/** What a model folder says about itself; the Model resource takes its values from here. */
export const manifest = z.strictObject({
  schemaVersion: z.literal(1),
  name: z.string().min(1).max(63),
  description: z.string().max(2000),
  licence: z.string().min(1).max(128),
  family: modelSpec.shape.family,
  tasks: modelSpec.shape.tasks,
  defaults: modelSpec.shape.defaults.unwrap(),
  sizes: modelSpec.shape.sizes.unwrap(),
  /** What one runner needs beside the base of the process, for requests and limits. */
  memoryBytes: z.int().min(1),
  files: z
    .array(z.strictObject({ path: packPath, sha256, sizeBytes: z.int().min(0) }))
    .min(1)
    .max(1000),
})
export type Manifest = z.infer<typeof manifest>

export type ReadManifest = { readonly manifest: Manifest; readonly digest: string }

/** Reads and checks the manifest of a folder; `digest` is the SHA-256 of the file itself. */
export async function readManifest(folder: string): Promise<ReadManifest> {
  const bytes = await readFile(path.join(folder, manifestName)).catch((cause: unknown) => {
    throw packError({ file: manifestName, cause }, `is missing in ${folder}`)
  })
  const result = manifest.safeParse(parseJson(bytes))
  if (!result.success) {
    const [issue] = result.error.issues
    throw packError({ file: manifestName, field: fieldOf(issue.path) }, issue.message)
  }
  return { manifest: result.data, digest: createHash('sha256').update(bytes).digest('hex') }
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
