import { findLayers, type GraphLayer } from '../../../../src/inference/lora/find-layers.ts'
import type { ScaledLora } from '../../../../src/inference/lora/feeds.ts'
import type { LoraComponent } from '../../../../src/inference/lora/layer-names.ts'
import type { LoraLayer } from '../../../../src/inference/lora/read-lora.ts'
import { readModel, readTensorHead } from '../../../../src/inference/onnx/read-graph.ts'
import { collectFields } from '../../../../src/inference/onnx/wire.ts'

/**
 * The other way to apply LoRAs, to compare with: W + scale · factor · up · down, written into the
 * graph's own float32 weights. `bytes` stay as they are.
 */
export function mergeLoras(
  bytes: Uint8Array,
  component: LoraComponent,
  loras: readonly ScaledLora[],
): Uint8Array {
  const merged = new Uint8Array(bytes)
  const { graph } = readModel(merged, 'merged')
  const weights = new Map(graph.initializers.map((one) => [readTensorHead(one).name, one]))
  const layers = findLayers(graph, component)
  for (const { lora, scale } of loras) {
    for (const change of lora.layers.filter((one) => one.component === component)) {
      const layer = layers.find(({ path }) => path.replaceAll('.', '_') === change.key)!
      const weight = weights.get(layer.node.inputs[1])!
      const [raw] = collectFields(weight, [9]).get(9)!
      const values = new DataView(merged.buffer, raw.bodyStart, raw.end - raw.bodyStart)
      addProduct(values, layer, { ...change, factor: change.factor * scale })
    }
  }
  return merged
}

function addProduct(values: DataView, layer: GraphLayer, change: LoraLayer): void {
  const columns = layer.inSize * layer.kernel[0] * layer.kernel[1]
  const isTransposed = layer.node.operator === 'MatMul'
  for (let row = 0; row < layer.outSize; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0
      for (let k = 0; k < change.rank; k++) {
        sum += change.up.values[row * change.rank + k] * change.down.values[k * columns + column]
      }
      const at = 4 * (isTransposed ? column * layer.outSize + row : row * columns + column)
      values.setFloat32(at, values.getFloat32(at, true) + sum * change.factor, true)
    }
  }
}
