import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { injectLora } from '../../../../src/inference/lora/inject.ts'

/** The demo model keeps its weights as bytes: Cast and Mul stand between them and their layers. */
function targetsOf(folder: string, component: 'unet' | 'text_encoder') {
  return injectLora(readFileSync(`models/demo/${folder}/model.onnx`), component).targets
}

function sizesOf(folder: string) {
  return targetsOf(folder, 'unet').map(({ module, inSize, outSize }) => ({
    module,
    inSize,
    outSize,
  }))
}

test('layers whose weights are kept as bytes take LoRAs', () => {
  const targets = targetsOf('unet', 'unet')
  expect(targets).toHaveLength(83)
  const query = 'unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k'
  expect(targets.find(({ module }) => module === query)).toMatchObject({
    kind: 'linear',
    inSize: 96,
    outSize: 96,
  })
  expect(targetsOf('text_encoder', 'text_encoder')).toHaveLength(12)
})

test('the inpainting UNet takes the same LoRAs but for its first layer', () => {
  const wider = sizesOf('unet').map((layer) =>
    layer.module === 'unet.conv_in' ? { ...layer, inSize: 9 } : layer,
  )
  expect(sizesOf('unet_inpaint')).toEqual(wider)
})
