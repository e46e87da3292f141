import {
  bytesField,
  integerField,
  join,
  textField,
} from '../../../../src/inference/onnx/write-graph.ts'

/** Parts of an ONNX file as protobuf fields, to put together into good and bad ones. */
export type Chunks = readonly Uint8Array[]

export const message = (number: number, ...parts: readonly Chunks[]): Chunks =>
  bytesField(number, parts.flat())

export const entry = (number: number, key: string, value: string): Chunks =>
  message(number, textField(1, key), textField(2, value))

export const opset = (domain: string, version: number): Chunks =>
  message(8, textField(1, domain), integerField(2, version))

export type NodeParts = {
  readonly operator: string
  readonly domain?: string
  readonly number?: number
  readonly attributes?: readonly Chunks[]
}

/** A node of a graph, or with `number` 7 of a function. */
export const node = ({ operator, domain = '', number = 1, attributes = [] }: NodeParts): Chunks =>
  message(
    number,
    textField(1, 'x'),
    textField(2, 'y'),
    textField(3, 'the node'),
    textField(4, operator),
    ...attributes,
    textField(7, domain),
  )

export const attribute = (name: string, ...values: readonly Chunks[]): Chunks =>
  message(5, textField(1, name), ...values)

export const localFunction = (domain: string, name: string, ...nodes: readonly Chunks[]): Chunks =>
  message(25, textField(1, name), textField(10, domain), ...nodes)

/** A float32 tensor of four values that lie in another file. */
export const externalTensor = (number: number, entries: Readonly<Record<string, string>>): Chunks =>
  message(
    number,
    integerField(1, 4),
    integerField(2, 1),
    textField(8, 'weight'),
    ...Object.entries(entries).map(([key, value]) => entry(13, key, value)),
    integerField(14, 1),
  )

export const port = (number: number, name: string): Chunks => message(number, textField(1, name))

/** A model of the given graph parts; `others` stand beside the graph. */
export function model(graph: readonly Chunks[], ...others: readonly Chunks[]): Uint8Array {
  return join([integerField(1, 9), opset('', 18), ...others, message(7, ...graph)].flat())
}
