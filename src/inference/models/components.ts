import path from 'node:path'
import { injectLora, type LoraTarget } from '../lora/inject.ts'
import type { LoraComponent } from '../lora/layer-names.ts'
import { Component } from '../runtime/component.ts'
import type { SessionProfile } from '../runtime/session-options.ts'
import { readGraphFile } from './graph-file.ts'
import { openError } from './pack-error.ts'
import type { PackFiles } from './pack-files.ts'

/** How a graph is run: on how many threads, and where when not on the CPU. */
export type ComponentProfile = Pick<SessionProfile, 'threads' | 'provider'>

/** Opens `<name>/model.onnx` after checking the graph and the digests of it and its weights. */
export async function openComponent(
  files: PackFiles,
  name: string,
  profile: ComponentProfile,
): Promise<Component> {
  const { graph, sizeBytes } = await readGraphFile(files, name)
  return openGraph(graph, { ...profile, files, name, sizeBytes })
}

/** A graph that takes LoRAs, and where. */
export type LoraReady = { readonly component: Component; readonly targets: readonly LoraTarget[] }

/** The same with two inputs more for each layer; `kind` says how LoRAs call the component. */
export async function openForLoras(
  files: PackFiles,
  { name, kind }: { readonly name: string; readonly kind: LoraComponent },
  profile: ComponentProfile,
): Promise<LoraReady> {
  const { graph, sizeBytes } = await readGraphFile(files, name)
  const { graph: injected, targets } = injectLora(graph, kind)
  const component = await openGraph(injected, { ...profile, files, name, sizeBytes })
  return { component, targets }
}

type Opening = ComponentProfile & {
  readonly files: PackFiles
  readonly name: string
  readonly sizeBytes: number
}

async function openGraph(
  graph: Uint8Array,
  { files, name, ...profile }: Opening,
): Promise<Component> {
  await files.verifyMapped(name)
  const folder = path.join(files.folder, name)
  return Component.open(graph, { ...profile, folder }).catch((cause: unknown) => {
    throw openError(`${name}/model.onnx`, cause)
  })
}
