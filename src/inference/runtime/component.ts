import { InferenceSession, Tensor } from 'onnxruntime-node'
import { assert } from '../../shared/assert.ts'
import { AppError } from '../../shared/errors.ts'
import { fromHalf, isHalf, toHalf } from './half.ts'
import { type SessionProfile, sessionOptions } from './session-options.ts'

/** Values with a shape, row-major. Integers (token ids) come as plain numbers too. */
export type FloatTensor = { readonly data: Float32Array; readonly shape: readonly number[] }
export type Feed = { readonly data: ArrayLike<number>; readonly shape: readonly number[] }

export type Port = {
  readonly name: string
  readonly type: string
  /** Numbers are fixed sizes, strings are names of free ones. */
  readonly shape: readonly (number | string)[]
}

/** One ONNX graph, ready to run. Whoever opens it must dispose of it. */
export class Component {
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  readonly #session: InferenceSession

  private constructor(session: InferenceSession) {
    this.#session = session
    this.inputs = session.inputMetadata.flatMap(readPort)
    this.outputs = session.outputMetadata.flatMap(readPort)
  }

  /**
   * The graph comes as bytes that were verified before; weights outside of it are mapped from
   * the profile's folder, where onnxruntime itself refuses paths that lead out.
   */
  static async open(graph: Uint8Array, profile: SessionProfile): Promise<Component> {
    return new Component(await InferenceSession.create(graph, sessionOptions(profile)))
  }

  /**
   * Feeds the graph by input name and returns its float outputs, or those named in `fetches`
   * only: the others need not be copied out of the runtime. Types and ranks are what the graph
   * declares; a feed the graph does not have is left out. An array that already has the graph's
   * type is used as it is, so it must not change until the promise settles; outputs are the
   * caller's own.
   */
  async run(
    feeds: Readonly<Record<string, Feed>>,
    fetches?: readonly string[],
  ): Promise<Readonly<Record<string, FloatTensor>>> {
    const inputs: Record<string, Tensor> = {}
    for (const port of this.inputs) inputs[port.name] = toTensor(port, feeds[port.name])
    const results = await this.#session.run(inputs, this.#names(fetches))
    const outputs: Record<string, FloatTensor> = {}
    for (const [name, tensor] of Object.entries(results)) outputs[name] = fromTensor(tensor)
    for (const tensor of Object.values(inputs)) tensor.dispose()
    return outputs
  }

  #names(fetches: readonly string[] | undefined): readonly string[] {
    if (fetches === undefined) return this.#session.outputNames
    const unknown = fetches.find((name) => !this.#session.outputNames.includes(name))
    if (unknown === undefined) return fetches
    const message = `the graph has no output “${unknown}”`
    throw new AppError('inference.unsupported', message)
  }

  async dispose(): Promise<void> {
    await this.#session.release()
  }
}

function readPort(value: InferenceSession.ValueMetadata): readonly Port[] {
  return value.isTensor ? [{ name: value.name, type: value.type, shape: value.shape }] : []
}

function toTensor(port: Port, feed: Feed | undefined): Tensor {
  if (feed === undefined) {
    const message = `the graph wants an input “${port.name}” that this pipeline does not make`
    throw new AppError('inference.unsupported', message)
  }
  const shape = fitRank(feed, port)
  switch (port.type) {
    case 'float32':
      return new Tensor('float32', toFloats(feed.data), shape)
    case 'float16':
      return halfTensor(toHalf(feed.data), shape)
    case 'int64':
      return new Tensor('int64', toIntegers(feed.data), shape)
    case 'int32':
      return new Tensor('int32', new Int32Array(feed.data), shape)
    default:
      throw new AppError('inference.unsupported', `input ${port.name} has type ${port.type}`)
  }
}

/** Fractional timesteps are cut off, as the legacy pipeline of diffusers does. */
function toIntegers(values: ArrayLike<number>): BigInt64Array {
  return BigInt64Array.from(values, (value) => BigInt(Math.trunc(value)))
}

/** The array itself where it has the right type; iterating over one costs more than a step may. */
function toFloats(values: ArrayLike<number>): Float32Array {
  return values instanceof Float32Array ? values : new Float32Array(values)
}

/**
 * The native binding of onnxruntime-node 1.30 sees an empty buffer in the Float16Array that the
 * tensor makes of these bits on Node 24 (“not enough space: expected 2, got 0”), but reads the
 * bits themselves well. The property below hands it those; component.test.ts watches it.
 */
function halfTensor(bits: Uint16Array, shape: number[]): Tensor {
  const tensor = new Tensor('float16', bits, shape)
  return Object.defineProperty(tensor, 'data', { value: bits })
}

/** A single value is fed as scalar or as [1], whichever the graph declares. */
function fitRank(feed: Feed, port: Port): number[] {
  if (feed.shape.length === port.shape.length) return [...feed.shape]
  assert(feed.data.length === 1, `input ${port.name} has the rank the graph declares`)
  return port.shape.map(() => 1)
}

function fromTensor(tensor: Tensor): FloatTensor {
  const { data, dims: shape } = tensor
  if (data instanceof Float32Array) return { data, shape }
  if (data instanceof Uint16Array || isHalf(data)) {
    return { data: fromHalf(data), shape }
  }
  throw new AppError('inference.unsupported', `an output has type ${tensor.type}`)
}
