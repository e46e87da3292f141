import { type ComponentFacts, readComponentFacts } from './component-facts.ts'
import type { DigestOptions } from './digest.ts'
import { requireFamily } from './family-rules.ts'
import { listModelFiles } from './list-files.ts'
import {
  type AnyManifest,
  type LoraManifest,
  type Manifest,
  manifestName,
  readAnyManifest,
} from './manifest.ts'
import { packError } from './pack-error.ts'
import { openPackFiles, type PackFiles } from './pack-files.ts'
import { readLora } from '../lora/read-lora.ts'

/** A pack that holds what its manifest says. */
export type CheckedPack = {
  readonly manifest: AnyManifest
  readonly digest: string
  /** In the manifest's order; none for a LoRA. */
  readonly components: readonly ComponentFacts[]
  /** Files of the folder that the manifest does not list: they are never read. */
  readonly unlistedFiles: readonly string[]
}

/**
 * Checks a whole pack: manifest, place, size and digest of every file, operators, weights and
 * ports of every graph, and that the parts are those of its family and tasks.
 * @throws AppError model.pack_invalid with file and field of the first fault.
 */
export async function checkPack(folder: string, options?: DigestOptions): Promise<CheckedPack> {
  const { manifest, digest } = await readAnyManifest(folder)
  const files = await openPackFiles(folder, manifest.files, { mappedDigests: 'Apart' })
  await files.verify('All', options)
  const listed = new Set(manifest.files.map((file) => file.path))
  const unlistedFiles = (await listModelFiles(files.folder)).filter((file) => !listed.has(file))
  const components = await checkContents(manifest, files)
  return { manifest, digest, components, unlistedFiles }
}

/** What `checkPack` checks beside the files themselves. Returns the facts of its graphs. */
export async function checkContents(
  manifest: AnyManifest,
  files: PackFiles,
): Promise<readonly ComponentFacts[]> {
  if (manifest.type === 'Base') return checkBase(manifest, files)
  await checkLora(manifest, files)
  return []
}

async function checkBase(manifest: Manifest, files: PackFiles): Promise<readonly ComponentFacts[]> {
  const components = await readAllComponents(files, manifest.files)
  const byName = new Map(components.map((component) => [component.name, component]))
  const forcesUpcast = await readForceUpcast(files)
  requireFamily({ manifest, components: byName, forcesUpcast })
  return components
}

/** Facts of every `<name>/model.onnx` that is listed. */
export async function readAllComponents(
  files: PackFiles,
  listed: readonly { readonly path: string }[],
): Promise<readonly ComponentFacts[]> {
  const names = listed.flatMap(({ path }) => /^([^/]+)\/model\.onnx$/.exec(path)?.[1] ?? [])
  const components: ComponentFacts[] = []
  // One after the other: their graphs need not be in memory together.
  for (const name of names) components.push(await readComponentFacts(files, name))
  return components
}

async function readForceUpcast(files: PackFiles): Promise<boolean> {
  const file = 'vae_decoder/config.json'
  if (!files.has(file)) return false
  return (await files.readJson(file))['force_upcast'] === true
}

/** The one file of a LoRA's pack. */
export function loraFileOf(manifest: Pick<LoraManifest, 'files'>): string {
  const [file, other] = manifest.files.filter((one) => one.path.endsWith('.safetensors'))
  if (file !== undefined && other === undefined) return file.path
  throw packError(
    { file: manifestName, field: 'files' },
    'a LoRA has exactly one .safetensors file',
  )
}

async function checkLora(manifest: LoraManifest, files: PackFiles): Promise<void> {
  const file = loraFileOf(manifest)
  readLora(await files.read(file), file)
}
