import path from 'node:path'
import { Component, type Port } from '../runtime/component.ts'
import { readGraphFile } from './graph-file.ts'
import { openError } from './pack-error.ts'
import type { PackFiles } from './pack-files.ts'

/** What one graph of a pack says about itself. */
export type ComponentFacts = {
  readonly name: string
  readonly opset: number
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  /** Files beside the graph that hold its weights, as paths in the pack. */
  readonly externalFiles: readonly string[]
  readonly graphBytes: number
  readonly externalBytes: number
}

/**
 * Reads a graph, checks its operators and where its weights lie, and opens it with onnxruntime
 * for the ports. Nothing is optimised and weights stay on disk, so it takes tenths of a second.
 * @throws AppError model.pack_invalid with file and field.
 */
export async function readComponentFacts(files: PackFiles, name: string): Promise<ComponentFacts> {
  const { graph, facts } = await readGraphFile(files, name)
  // As a large one: neither optimised nor prepacked.
  const sizeBytes = Number.MAX_SAFE_INTEGER
  const folder = path.join(files.folder, name)
  const component = await Component.open(graph, { threads: 1, folder, sizeBytes }).catch(
    (cause: unknown) => {
      throw openError(`${name}/model.onnx`, cause)
    },
  )
  const { inputs, outputs } = component
  await component.dispose()
  return {
    name,
    opset: facts.opset,
    inputs,
    outputs,
    externalFiles: facts.externalFiles.map((location) => path.posix.join(name, location)),
    graphBytes: graph.length,
    externalBytes: files.mappedBytes(name),
  }
}
