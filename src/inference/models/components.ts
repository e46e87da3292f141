import path from 'node:path'
import { Component } from '../runtime/component.ts'
import { packError } from './pack-error.ts'
import type { PackFiles } from './pack-files.ts'

/** Opens `<name>/model.onnx` after checking its digest and that of its external weights. */
export async function openComponent(
  files: PackFiles,
  name: string,
  threads: number,
): Promise<Component> {
  const file = `${name}/model.onnx`
  const graph = await files.read(file)
  await files.verifyMapped(name)
  const folder = path.join(files.folder, name)
  const sizeBytes = graph.length + files.mappedBytes(name)
  return Component.open(graph, { threads, folder, sizeBytes }).catch((cause: unknown) => {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw packError({ file, cause }, `onnxruntime cannot open the graph: ${detail}`)
  })
}
