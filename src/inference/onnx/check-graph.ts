import { checkExternalData, type SizeOf } from './external-data.ts'
import {
  type Graph,
  type GraphNode,
  type LocalFunction,
  readAttribute,
  readGraph,
  readModel,
  readPortName,
  readTensorHead,
} from './read-graph.ts'
import { collectFields, type Message, nested, refuse } from './wire.ts'

export type GraphSource = {
  /** Name of the file for messages. */
  readonly file: string
  /** When given, ranges of external data are held against the sizes of their files. */
  readonly sizeOf?: SizeOf
}

export type GraphFacts = {
  /** Version of ONNX's own operators. */
  readonly opset: number
  readonly opsets: ReadonlyMap<string, number>
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Paths relative to the graph's folder, each once. */
  readonly externalFiles: readonly string[]
  /** With local functions written out where they are called. */
  readonly nodeCount: number
}

/** What was found below a node: nodes in all, and how deep graphs and functions are nested. */
type Extent = { readonly nodeCount: number; readonly depth: number }

type Search = {
  readonly functions: ReadonlyMap<string, LocalFunction>
  /** 'open' while a function is being looked at: meeting it again means that it calls itself. */
  readonly extents: Map<string, Extent | 'open'>
  readonly externalFiles: Set<string>
  readonly sizeOf: SizeOf
}

const nodeCountMax = 500_000
const depthMax = 16

/**
 * Operators of onnxruntime's own domain that its optimiser and Olive put into diffusion models:
 * arithmetic on tensors, fused. The domain as a whole is not safe: EPContext, for one, loads files.
 */
const fusedOperators: ReadonlySet<string> = new Set([
  'Attention',
  'BiasAdd',
  'BiasGelu',
  'BiasSplitGelu',
  'FastGelu',
  'FusedConv',
  'FusedGemm',
  'FusedMatMul',
  'Gelu',
  'GroupNorm',
  'MultiHeadAttention',
  'NhwcConv',
  'QuickGelu',
  'SkipGroupNorm',
  'SkipLayerNormalization',
])

/**
 * Decides whether an untrusted graph may be given to onnxruntime. Looks into every subgraph, local
 * function and default attribute. Throws packError naming file and place for operators of a domain
 * that we do not know, weights outside the model's folder, functions that call themselves, and
 * anything that is not the protobuf of an ONNX model.
 */
export function checkGraph(bytes: Uint8Array, source: GraphSource): GraphFacts {
  const model = readModel(bytes, source.file)
  const search: Search = {
    functions: readFunctions(model.functions),
    extents: new Map(),
    externalFiles: new Set(),
    sizeOf: source.sizeOf ?? (() => undefined),
  }
  const opset = model.opsets.get('')
  if (opset === undefined) throw refuse(model.message, 'does not import the operators of ai.onnx')
  const extents = [
    searchGraph(model.graph, search, 1),
    ...model.functions.map((one) => searchFunction(one, search, 1)),
  ]
  const weights = new Set(model.graph.initializers.map((tensor) => readTensorHead(tensor).name))
  return {
    opset,
    opsets: model.opsets,
    inputs: model.graph.inputs.map(readPortName).filter((name) => !weights.has(name)),
    outputs: model.graph.outputs.map(readPortName),
    externalFiles: [...search.externalFiles],
    nodeCount: extents[0].nodeCount,
  }
}

function searchGraph(graph: Graph, search: Search, depth: number): Extent {
  graph.initializers.forEach((tensor) => searchTensor(tensor, search))
  graph.sparseInitializers.forEach((tensor) => searchSparseTensor(tensor, search))
  return searchNodes(graph.message, graph.nodes, { search, depth })
}

type Place = { readonly search: Search; readonly depth: number }

function searchNodes(message: Message, nodes: readonly GraphNode[], place: Place): Extent {
  if (place.depth > depthMax) throw refuse(message, `nested more than ${depthMax} deep`)
  const extents = nodes.map((node) => searchNode(node, place))
  const nodeCount = extents.reduce((sum, extent) => sum + extent.nodeCount, 0)
  if (nodeCount > nodeCountMax) throw refuse(message, `runs more than ${nodeCountMax} nodes`)
  const depth = 1 + extents.reduce((deepest, extent) => Math.max(deepest, extent.depth), 0)
  if (depth > depthMax) throw refuse(message, `nested more than ${depthMax} deep`)
  return { nodeCount, depth }
}

function searchNode(node: GraphNode, { search, depth }: Place): Extent {
  const called =
    node.domain === '' ? undefined : search.functions.get(keyOf({ ...node, name: node.operator }))
  if (called === undefined) checkOperator(node)
  const below = [
    ...node.attributes.flatMap((attribute) => searchAttribute(attribute, { search, depth })),
    ...(called === undefined ? [] : [searchFunction(called, search, depth + 1)]),
  ]
  return {
    nodeCount: below.reduce((sum, { nodeCount }) => sum + nodeCount, 1),
    depth: below.reduce((deepest, extent) => Math.max(deepest, extent.depth), 0),
  }
}

function searchFunction(called: LocalFunction, search: Search, depth: number): Extent {
  const key = keyOf(called)
  const known = search.extents.get(key)
  if (known === 'open') throw refuse(called.message, `the function ${called.name} calls itself`)
  if (known !== undefined) return known
  search.extents.set(key, 'open')
  called.attributes.forEach((attribute) => searchAttribute(attribute, { search, depth }))
  const extent = searchNodes(called.message, called.nodes, { search, depth })
  search.extents.set(key, extent)
  return extent
}

function searchAttribute(message: Message, { search, depth }: Place): readonly Extent[] {
  const attribute = readAttribute(message)
  attribute.tensors.forEach((tensor) => searchTensor(tensor, search))
  attribute.sparseTensors.forEach((tensor) => searchSparseTensor(tensor, search))
  return attribute.graphs.map((graph) => {
    if (depth >= depthMax) throw refuse(graph, `nested more than ${depthMax} deep`)
    return searchGraph(readGraph(graph), search, depth + 1)
  })
}

function searchSparseTensor(message: Message, search: Search): void {
  const fields = collectFields(message, [1, 2])
  for (const field of [...fields.values()].flat()) {
    searchTensor(nested(message, field, field.number === 1 ? 'values' : 'indices'), search)
  }
}

function searchTensor(message: Message, search: Search): void {
  readTensorHead(message)
  const location = checkExternalData(message, search.sizeOf)
  if (location !== undefined) search.externalFiles.add(location)
}

function checkOperator(node: GraphNode): void {
  if (node.domain === '') return
  if (node.domain === 'com.microsoft' && fusedOperators.has(node.operator)) return
  const operator = `operator “${node.operator}” of domain “${node.domain}”`
  throw refuse(node.message, `${operator} (node “${node.name}”) is not allowed`)
}

/** A function may not pass for an operator of somebody else. */
const takenDomains = /^$|^(ai\.onnx|com\.microsoft|com\.ms|org\.pytorch)(\.|$)/

function readFunctions(functions: readonly LocalFunction[]): ReadonlyMap<string, LocalFunction> {
  const byKey = new Map<string, LocalFunction>()
  for (const one of functions) {
    const name = `the function “${one.name}” of domain “${one.domain}”`
    if (takenDomains.test(one.domain)) throw refuse(one.message, `${name} takes a known domain`)
    if (byKey.has(keyOf(one))) throw refuse(one.message, `${name} is there twice`)
    byKey.set(keyOf(one), one)
  }
  return byKey
}

function keyOf({ domain, name, overload }: Pick<LocalFunction, 'domain' | 'name' | 'overload'>) {
  return JSON.stringify([domain, name, overload])
}
