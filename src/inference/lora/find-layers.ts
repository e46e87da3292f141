import {
  type Attribute,
  type Graph,
  type GraphNode,
  readAttribute,
  readEntries,
  readTensorHead,
  type TensorHead,
} from '../onnx/read-graph.ts'
import type { LoraComponent } from './layer-names.ts'

/** A node of the graph that multiplies by a constant weight, and which torch layer it was. */
export type GraphLayer = {
  readonly node: GraphNode
  /** Dotted path within the component, as diffusers and transformers name it. */
  readonly path: string
  readonly kind: 'linear' | 'conv'
  /** TensorProto.DataType: 1 float32, 10 float16. */
  readonly elementType: number
  readonly inSize: number
  readonly outSize: number
  /** Height and width; 1×1 for linear layers. */
  readonly kernel: readonly [number, number]
}

type Weight = Pick<TensorHead, 'elementType' | 'dims'>
type Weights = {
  readonly initializers: ReadonlyMap<string, TensorHead>
  readonly producers: ReadonlyMap<string, GraphNode>
}

/** Constant, then Cast, Mul and Transpose in any order. */
const hopsMax = 4
const scopesKey = 'pkg.torch.onnx.name_scopes'
const floatTypes: ReadonlySet<number> = new Set([1, 10])

/**
 * All linear and convolution layers of an exported component. Weights may be initializers or
 * constants, stored in another type or transposed. Nodes that do not say their layer are left out.
 */
export function findLayers(graph: Graph, component: LoraComponent): readonly GraphLayer[] {
  const heads = graph.initializers.map(readTensorHead)
  const weights: Weights = {
    initializers: new Map(heads.map((head) => [head.name, head])),
    producers: new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node]))),
  }
  return graph.nodes.flatMap((node) => {
    const layer = node.domain === '' ? readLayer(node, weights) : undefined
    if (layer === undefined || !floatTypes.has(layer.elementType)) return []
    const path = layerPath(node, component)
    return path === undefined ? [] : [{ ...layer, node, path }]
  })
}

type Shape = Omit<GraphLayer, 'node' | 'path'>

function readLayer(node: GraphNode, weights: Weights): Shape | undefined {
  const readShape = shapeReaders[node.operator]
  if (readShape === undefined || node.outputs.length !== 1) return undefined
  const weight = traceWeight(node.inputs[1], weights, hopsMax)
  return weight && readShape(weight, readAttributes(node))
}

type Attributes = ReadonlyMap<string, Attribute>

const shapeReaders: Readonly<
  Record<string, ((weight: Weight, attributes: Attributes) => Shape | undefined) | undefined>
> = {
  MatMul: ({ elementType, dims }) => {
    return dims.length === 2 ? linear(elementType, [dims[0], dims[1]]) : undefined
  },
  Gemm: ({ elementType, dims }, attributes) => {
    const isScaled = (attributes.get('alpha')?.float ?? 1) !== 1
    if (isScaled || integer(attributes, 'transA') === 1 || dims.length !== 2) return undefined
    const isTransposed = integer(attributes, 'transB') === 1
    return linear(elementType, isTransposed ? [dims[1], dims[0]] : [dims[0], dims[1]])
  },
  Conv: ({ elementType, dims }, attributes) => {
    if (dims.length !== 4 || (integer(attributes, 'group') ?? 1) !== 1) return undefined
    const [outSize, inSize, height, width] = dims
    return { kind: 'conv', elementType, inSize, outSize, kernel: [height, width] }
  },
}

function linear(elementType: number, [inSize, outSize]: readonly [number, number]): Shape {
  return { kind: 'linear', elementType, inSize, outSize, kernel: [1, 1] }
}

function traceWeight(name: string | undefined, weights: Weights, hops: number): Weight | undefined {
  if (name === undefined || hops === 0) return undefined
  const initializer = weights.initializers.get(name)
  if (initializer !== undefined) return initializer
  const producer = weights.producers.get(name)
  if (producer === undefined) return undefined
  const attributes = readAttributes(producer)
  if (producer.operator === 'Constant') {
    const tensor = attributes.get('value')?.tensors[0]
    return tensor && readTensorHead(tensor)
  }
  const source = traceWeight(producer.inputs[0], weights, hops - 1)
  return source && derivedWeight(source, producer, attributes)
}

function derivedWeight(
  source: Weight,
  { operator }: GraphNode,
  attributes: Attributes,
): Weight | undefined {
  switch (operator) {
    case 'Identity':
    // Bytes times their scales, as the demo model keeps its weights; scales have no larger shape.
    case 'Mul':
      return source
    case 'Cast':
      return { ...source, elementType: integer(attributes, 'to') ?? 0 }
    case 'Transpose': {
      const order =
        attributes.get('perm')?.integers ?? source.dims.map((_, axis) => axis).toReversed()
      return { ...source, dims: order.map((axis) => source.dims[axis] ?? 0) }
    }
    default:
      return undefined
  }
}

function readAttributes(node: GraphNode): Attributes {
  return new Map(node.attributes.map(readAttribute).map((one) => [one.name, one]))
}

function integer(attributes: Attributes, name: string): number | undefined {
  return attributes.get(name)?.integers[0]
}

/**
 * torch's older exporter writes the path into the node's name (`/a/b.0/to_q/MatMul`), the newer
 * one a list of enclosing modules into its metadata; a weight that was not folded tells it too.
 */
function layerPath(node: GraphNode, component: LoraComponent): string | undefined {
  const scopes = readEntries(node.metadata).find(([key]) => key === scopesKey)?.[1]
  const parts = scopes === undefined ? [] : [...scopes.matchAll(/'([^']*)'/g)]
  const candidates = [
    parts.at(-2)?.[1] ?? '',
    node.name.split('/').slice(1, -1).join('.'),
    node.inputs[1].replace(/\.weight$/, ''),
  ]
  return candidates
    .map((path) => withoutWrapper(path, component))
    .find((path) => path !== undefined)
}

const unetRoots = /(?:^|\.)((?:down_blocks|mid_block|up_blocks)\..+)$/
const unetEnds = /(?:^|\.)(conv_in|conv_out|(?:time|add)_embedding\.linear_[12])$/

/** Exporters wrap the model into modules of their own: the path begins at the first known name. */
function withoutWrapper(path: string, component: LoraComponent): string | undefined {
  if (component === 'unet') return (unetRoots.exec(path) ?? unetEnds.exec(path))?.[1]
  const layer = /(?:^|\.)(encoder\.layers\..+)$/.exec(path)
  return layer === null ? undefined : `text_model.${layer[1]}`
}
