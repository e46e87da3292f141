import type { Message, WireField } from './wire.ts'
import {
  collectFields,
  nested,
  openMessage,
  readFloat,
  readIntegers,
  readText,
  refuse,
} from './wire.ts'

/** One call of an operator. Attributes and metadata stay undecoded until somebody asks. */
export type GraphNode = {
  readonly message: Message
  readonly name: string
  readonly domain: string
  readonly operator: string
  readonly overload: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: readonly Message[]
  readonly metadata: readonly Message[]
}

export type Graph = {
  readonly message: Message
  readonly nodes: readonly GraphNode[]
  readonly initializers: readonly Message[]
  readonly sparseInitializers: readonly Message[]
  readonly inputs: readonly Message[]
  readonly outputs: readonly Message[]
}

/** An operator that the model itself defines by other operators. */
export type LocalFunction = {
  readonly message: Message
  readonly name: string
  readonly domain: string
  readonly overload: string
  readonly nodes: readonly GraphNode[]
  readonly attributes: readonly Message[]
}

export type OnnxModel = {
  readonly message: Message
  readonly graph: Graph
  readonly functions: readonly LocalFunction[]
  /** Version of the operators by domain; ONNX's own domain is ''. */
  readonly opsets: ReadonlyMap<string, number>
}

export type Attribute = {
  readonly name: string
  readonly float: number | undefined
  readonly integers: readonly number[]
  readonly tensors: readonly Message[]
  readonly sparseTensors: readonly Message[]
  readonly graphs: readonly Message[]
}

export type TensorHead = {
  readonly name: string
  /** TensorProto.DataType: 1 float32, 10 float16. */
  readonly elementType: number
  readonly dims: readonly number[]
}

const nodesMax = 200_000
const tensorsMax = 200_000
const portsMax = 10_000
const functionsMax = 10_000
const opsetsMax = 100
const rankMax = 64
const integersMax = 1_000_000

/**
 * Reads the skeleton of an untrusted ONNX file (field numbers of onnx/onnx.proto, IR version 13).
 * Weights inside the file stay where they are. Throws packError naming file and place.
 */
export function readModel(bytes: Uint8Array, file: string): OnnxModel {
  const message = openMessage(bytes, file)
  const fields = collectFields(message, [7, 8, 20, 25])
  const graphs = list(fields, 7)
  if (graphs.length !== 1) throw refuse(message, `has ${graphs.length} graphs instead of one`)
  if (list(fields, 20).length > 0) throw refuse(message, 'training_info is not supported')
  return {
    message,
    graph: readGraph(nested(message, graphs[0], 'graph')),
    functions: children(message, list(fields, 25), { name: 'functions', limit: functionsMax }).map(
      readFunction,
    ),
    opsets: new Map(
      children(message, list(fields, 8), { name: 'opset_import', limit: opsetsMax }).map(readOpset),
    ),
  }
}

/** Reads a graph, which lies in a model or in an attribute. */
export function readGraph(message: Message): Graph {
  const fields = collectFields(message, [1, 5, 11, 12, 15])
  const read = (number: number, name: string, limit: number) =>
    children(message, list(fields, number), { name, limit })
  return {
    message,
    nodes: read(1, 'node', nodesMax).map(readNode),
    initializers: read(5, 'initializer', tensorsMax),
    sparseInitializers: read(15, 'sparse_initializer', tensorsMax),
    inputs: read(11, 'input', portsMax),
    outputs: read(12, 'output', portsMax),
  }
}

export function readAttribute(message: Message): Attribute {
  const fields = collectFields(message, [1, 2, 3, 5, 6, 8, 10, 11, 22, 23])
  const read = (numbers: readonly number[], name: string) =>
    numbers.flatMap((number) =>
      children(message, list(fields, number), { name, limit: tensorsMax }),
    )
  const integers = [...list(fields, 3), ...list(fields, 8)]
  const float = list(fields, 2).at(-1)
  return {
    name: lastText(message, list(fields, 1)),
    float: float && readFloat(message, float),
    integers: readIntegers(message, integers, integersMax),
    tensors: read([5, 10], 'tensor'),
    sparseTensors: read([22, 23], 'sparse_tensor'),
    graphs: read([6, 11], 'graph'),
  }
}

/** Name, type and shape of a weight. Throws packError for sizes that no array can have. */
export function readTensorHead(message: Message): TensorHead {
  const fields = collectFields(message, [1, 2, 8])
  const dims = readIntegers(message, list(fields, 1), rankMax)
  const sizeMax = Number.MAX_SAFE_INTEGER
  if (dims.some((size) => size > sizeMax) || dims.reduce((a, b) => a * b, 1) > sizeMax) {
    throw refuse(message, `dims [${dims.join(', ')}] are out of range`)
  }
  return {
    name: lastText(message, list(fields, 8)),
    elementType: readIntegers(message, list(fields, 2), 16).at(-1) ?? 0,
    dims,
  }
}

/** Key and value pairs: metadata, and where external data lie. */
export function readEntries(messages: readonly Message[]): readonly (readonly [string, string])[] {
  return messages.map((message) => {
    const fields = collectFields(message, [1, 2])
    return [lastText(message, list(fields, 1)), lastText(message, list(fields, 2))]
  })
}

/** The name of a graph's input or output. */
export function readPortName(message: Message): string {
  return lastText(message, list(collectFields(message, [1]), 1))
}

/** Messages of a repeated field, their place in its name. */
export function children(
  parent: Message,
  fields: readonly WireField[],
  { name, limit }: { readonly name: string; readonly limit: number },
): readonly Message[] {
  if (fields.length > limit) throw refuse(parent, `has more than ${limit} ${name}`)
  return fields.map((field, index) => nested(parent, field, `${name}[${index}]`))
}

function readNode(message: Message): GraphNode {
  const fields = collectFields(message, [1, 2, 3, 4, 5, 7, 8, 9])
  const text = (number: number) => lastText(message, list(fields, number))
  const texts = (number: number) => list(fields, number).map((field) => readText(message, field))
  return {
    message,
    inputs: texts(1),
    outputs: texts(2),
    name: text(3),
    operator: text(4),
    attributes: children(message, list(fields, 5), { name: 'attribute', limit: portsMax }),
    domain: plainDomain(text(7)),
    overload: text(8),
    metadata: children(message, list(fields, 9), { name: 'metadata_props', limit: portsMax }),
  }
}

function readFunction(message: Message): LocalFunction {
  const fields = collectFields(message, [1, 7, 10, 11, 13])
  const text = (number: number) => lastText(message, list(fields, number))
  const nodes = children(message, list(fields, 7), { name: 'node', limit: nodesMax })
  return {
    message,
    name: text(1),
    domain: plainDomain(text(10)),
    overload: text(13),
    nodes: nodes.map(readNode),
    attributes: children(message, list(fields, 11), { name: 'attribute_proto', limit: portsMax }),
  }
}

function readOpset(message: Message): readonly [string, number] {
  const fields = collectFields(message, [1, 2])
  const version = readIntegers(message, list(fields, 2), 16).at(-1) ?? 0
  return [plainDomain(lastText(message, list(fields, 1))), version]
}

/** ONNX's own operators go by two names. */
function plainDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain
}

function list(
  fields: ReadonlyMap<number, readonly WireField[]>,
  number: number,
): readonly WireField[] {
  return fields.get(number) ?? []
}

/** When a single value stands in a message twice, protobuf takes the last one. */
function lastText(message: Message, fields: readonly WireField[]): string {
  const last = fields.at(-1)
  return last === undefined ? '' : readText(message, last)
}
