import path from 'node:path'
import { checkGraph, type GraphFacts } from '../onnx/check-graph.ts'
import { packError } from './pack-error.ts'
import type { PackFiles } from './pack-files.ts'

export type GraphFile = {
  readonly graph: Buffer
  readonly facts: GraphFacts
  /** The graph and the weights beside it. */
  readonly sizeBytes: number
}

/**
 * Reads `<component>/model.onnx` and decides whether onnxruntime may have it: known operators, and
 * weights in files that the pack lists.
 * @throws AppError model.pack_invalid with file and field.
 */
export async function readGraphFile(files: PackFiles, component: string): Promise<GraphFile> {
  const file = `${component}/model.onnx`
  const graph = await files.read(file)
  const inPack = (location: string) => path.posix.join(component, location)
  const sizeOf = (location: string) => files.sizeBytes(inPack(location))
  const facts = checkGraph(graph, { file, sizeOf })
  const absent = facts.externalFiles.find((location) => !files.has(inPack(location)))
  if (absent !== undefined) {
    const problem = `keeps weights in ${inPack(absent)}, which the pack does not list`
    throw packError({ file, field: 'external_data' }, problem)
  }
  return { graph, facts, sizeBytes: graph.length + files.mappedBytes(component) }
}
