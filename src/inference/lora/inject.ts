import { readModel } from '../onnx/read-graph.ts'
import { collectFields, type Message, refuse } from '../onnx/wire.ts'
import {
  bytesField,
  type Edit,
  editMessage,
  integerField,
  join,
  textField,
} from '../onnx/write-graph.ts'
import { findLayers, type GraphLayer } from './find-layers.ts'
import type { LoraComponent } from './layer-names.ts'
import { originalNames } from './original-names.ts'

/** A layer that takes a LoRA through two inputs of the graph, both with a free rank. */
export type LoraTarget = {
  /** Path in the torch pipeline: `unet.down_blocks.1.attentions.0.proj_in`. */
  readonly module: string
  /** Underscored names under which LoRA files know the layer; no other target has any of them. */
  readonly keys: readonly string[]
  readonly kind: 'linear' | 'conv'
  /** Input of shape [in, rank], for convolutions [rank, in, height, width]. */
  readonly down: string
  /** Input of shape [rank, out], for convolutions [out, rank, 1, 1]. */
  readonly up: string
  readonly inSize: number
  readonly outSize: number
  readonly kernel: readonly [number, number]
}

/**
 * Gives every linear and convolution layer of a component a second path beside its weight:
 * y = layer(x) + up(down(x)), with `down` and `up` as inputs of the graph in the type of the layer.
 * All else is carried over byte for byte, so weights inside or outside the file stay as they are.
 * Feeds come from loraFeeds. Throws packError when the bytes are not a graph or when two layers
 * cannot be told apart.
 */
export function injectLora(
  graph: Uint8Array,
  component: LoraComponent,
): { readonly graph: Uint8Array; readonly targets: readonly LoraTarget[] } {
  const model = readModel(graph, `${component}/model.onnx`)
  const layers = findLayers(model.graph, component)
  const distinct = groupByPath(layers, model.graph.message)
  const targets = makeTargets([...distinct.values()], component)
  checkKeys(targets, model.graph.message)
  const inputs = [...distinct.values()].flatMap((layer) => declareInputs(layer, component))
  const { end } = model.graph.message
  const edits = [
    ...layers.map((layer) => branchOff(layer, component)),
    { start: end, end, chunks: inputs },
  ]
  const rewritten = bytesField(fieldOf.model.graph, editMessage(model.graph.message, edits))
  const place = { start: model.graph.message.fieldStart, end, chunks: rewritten }
  return { graph: join(editMessage(model.message, [place])), targets }
}

/** Field numbers of onnx/onnx.proto that are written here. */
const fieldOf = {
  model: { graph: 7 },
  graph: { node: 1, input: 11 },
  node: { input: 1, output: 2, name: 3, operator: 4, attribute: 5 },
  port: { name: 1, type: 2 },
  type: { tensor: 1 },
  tensor: { elementType: 1, shape: 2 },
  shape: { dimension: 1 },
  dimension: { size: 1, symbol: 2 },
} as const

/** A layer that runs twice in a graph is one layer with one LoRA. */
function groupByPath(
  layers: readonly GraphLayer[],
  message: Message,
): ReadonlyMap<string, GraphLayer> {
  const distinct = new Map<string, GraphLayer>()
  for (const layer of layers) {
    const first = distinct.get(layer.path) ?? layer
    if (shapeText(first) !== shapeText(layer)) {
      throw refuse(message, `two nodes of different shapes are both named ${layer.path}`)
    }
    distinct.set(layer.path, first)
  }
  return distinct
}

function shapeText({ kind, elementType, inSize, outSize, kernel }: GraphLayer): string {
  return [kind, elementType, inSize, outSize, ...kernel].join(' ')
}

function makeTargets(
  layers: readonly GraphLayer[],
  component: LoraComponent,
): readonly LoraTarget[] {
  const original = component === 'unet' ? originalNames(layers.map(({ path }) => path)) : new Map()
  return layers.map(({ path, kind, inSize, outSize, kernel }) => {
    const key = path.replaceAll('.', '_')
    const other = component === 'unet' ? original.get(path) : key.replace(/^text_model_/, '')
    const keys = other === undefined ? [key] : [key, other]
    const module = `${component}.${path}`
    return { module, keys, kind, ...inputNames(module), inSize, outSize, kernel }
  })
}

function inputNames(module: string): { readonly down: string; readonly up: string } {
  return { down: `lora.${module}.down`, up: `lora.${module}.up` }
}

function checkKeys(targets: readonly LoraTarget[], message: Message): void {
  const seen = new Set<string>()
  for (const key of targets.flatMap(({ keys }) => keys)) {
    if (seen.has(key)) throw refuse(message, `two layers go by the name ${key}`)
    seen.add(key)
  }
}

/** The node under another output name, then the nodes that add the LoRA to it. */
function branchOff(layer: GraphLayer, component: LoraComponent): Edit {
  const { message, inputs, outputs } = layer.node
  const { down, up } = inputNames(`${component}.${layer.path}`)
  const [result] = outputs
  const names = { base: `${result}_base`, low: `${result}_lora_down`, high: `${result}_lora_up` }
  // A reader of the graph takes the last of several outputs fields; there is exactly one here.
  const [output] = collectFields(message, [fieldOf.node.output]).get(fieldOf.node.output) ?? []
  const renamed = textField(fieldOf.node.output, names.base)
  const edit = { start: output.start, end: output.end, chunks: renamed }
  const operator = layer.kind === 'conv' ? 'Conv' : 'MatMul'
  // A convolution's stride and padding go to its `down`; its `up` is 1×1 without either.
  const attributes = layer.kind === 'conv' ? layer.node.attributes : []
  const chunks = [
    bytesField(fieldOf.graph.node, editMessage(message, [edit])),
    makeNode({ operator, inputs: [inputs[0], down], output: names.low, attributes }),
    makeNode({ operator, inputs: [names.low, up], output: names.high, attributes: [] }),
    makeNode({ operator: 'Add', inputs: [names.base, names.high], output: result, attributes: [] }),
  ]
  return { start: message.fieldStart, end: message.end, chunks: chunks.flat() }
}

type NewNode = {
  readonly operator: string
  readonly inputs: readonly string[]
  readonly output: string
  readonly attributes: readonly Message[]
}

function makeNode({ operator, inputs, output, attributes }: NewNode): readonly Uint8Array[] {
  return bytesField(fieldOf.graph.node, [
    ...inputs.flatMap((name) => textField(fieldOf.node.input, name)),
    ...textField(fieldOf.node.output, output),
    ...textField(fieldOf.node.name, `lora ${output}`),
    ...textField(fieldOf.node.operator, operator),
    ...attributes.flatMap((one) => bytesField(fieldOf.node.attribute, editMessage(one, []))),
  ])
}

/**
 * Each layer's rank has a name of its own: onnxruntime reuses memory between values whose sizes
 * have the same name, and two layers may well be fed different ranks.
 */
function declareInputs(layer: GraphLayer, component: LoraComponent): readonly Uint8Array[] {
  const { path, kind, elementType, inSize, outSize, kernel } = layer
  const module = `${component}.${path}`
  const rank = `${module}.rank`
  const { down, up } = inputNames(module)
  const isConv = kind === 'conv'
  return [
    declareInput(down, elementType, isConv ? [rank, inSize, ...kernel] : [inSize, rank]),
    declareInput(up, elementType, isConv ? [outSize, rank, 1, 1] : [rank, outSize]),
  ].flat()
}

function declareInput(
  name: string,
  elementType: number,
  shape: readonly (number | string)[],
): readonly Uint8Array[] {
  const dimensions = shape.flatMap((size) => {
    const { size: fixed, symbol } = fieldOf.dimension
    const value = typeof size === 'number' ? integerField(fixed, size) : textField(symbol, size)
    return bytesField(fieldOf.shape.dimension, value)
  })
  const tensor = [
    ...integerField(fieldOf.tensor.elementType, elementType),
    ...bytesField(fieldOf.tensor.shape, dimensions),
  ]
  return bytesField(fieldOf.graph.input, [
    ...textField(fieldOf.port.name, name),
    ...bytesField(fieldOf.port.type, bytesField(fieldOf.type.tensor, tensor)),
  ])
}
