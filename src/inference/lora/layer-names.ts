/** The parts of a pipeline that a LoRA can change. */
export type LoraComponent = 'unet' | 'text_encoder' | 'text_encoder_2'

export type TensorRole = 'down' | 'up' | 'alpha'

/**
 * A layer as a LoRA file names it. `path` is dotted in PEFT's and diffusers' files and underscored
 * in kohya's; `key` is underscored always.
 */
export type LayerName = {
  readonly component: LoraComponent
  readonly path: string
  readonly key: string
}

/** `stem` is the key without its ending: all tensors of a layer share it. */
export type TensorName = { readonly stem: string; readonly role: TensorRole }

const endings: readonly (readonly [RegExp, TensorRole])[] = [
  // kohya: networks/lora.py
  [/\.lora_down\.weight$/, 'down'],
  [/\.lora_up\.weight$/, 'up'],
  [/\.alpha$/, 'alpha'],
  // PEFT, with or without the adapter's name
  [/\.lora_A(\.\w+)?\.weight$/, 'down'],
  [/\.lora_B(\.\w+)?\.weight$/, 'up'],
  // diffusers before it had PEFT: layers, then attention processors
  [/\.lora(_linear_layer)?\.down\.weight$/, 'down'],
  [/\.lora(_linear_layer)?\.up\.weight$/, 'up'],
  [/_lora\.down\.weight$/, 'down'],
  [/_lora\.up\.weight$/, 'up'],
]

/** Takes a tensor's key apart, or gives undefined when it is not one of a plain LoRA. */
export function readTensorName(key: string): TensorName | undefined {
  for (const [ending, role] of endings) {
    if (ending.test(key)) return { stem: key.replace(ending, ''), role }
  }
  return undefined
}

const kohyaComponents: Readonly<Record<string, LoraComponent>> = {
  unet: 'unet',
  te: 'text_encoder',
  te1: 'text_encoder',
  te2: 'text_encoder_2',
}

/** Which layer of which component a stem means; undefined for any other component. */
export function readLayerName(stem: string): LayerName | undefined {
  const kohya = /^lora_(unet|te|te1|te2)_(.+)$/.exec(stem)
  if (kohya !== null) {
    return { component: kohyaComponents[kohya[1]], path: kohya[2], key: kohya[2] }
  }
  const dotted = stem.replace(/^base_model\.model\./, '')
  const prefixed = /^(unet|text_encoder_2|text_encoder)\.(.+)$/.exec(dotted)
  const component = prefixed === null ? componentOf(dotted) : knownComponent(prefixed[1])
  if (component === undefined) return undefined
  const path = modernPath(prefixed?.[2] ?? dotted, component)
  return { component, path, key: path.replaceAll('.', '_') }
}

/** An adapter saved from one model alone does not say which one it was; its layers do. */
function componentOf(path: string): LoraComponent | undefined {
  if (/^(down_blocks|mid_block|up_blocks)\./.test(path)) return 'unet'
  return /^(text_model|encoder)\./.test(path) ? 'text_encoder' : undefined
}

function knownComponent(name: string): LoraComponent | undefined {
  return Object.values(kohyaComponents).find((component) => component === name)
}

/** Attention processors held the weights of the layers beside them, under names of their own. */
function modernPath(path: string, component: LoraComponent): string {
  const layer = path.replace(/\.processor\.(to_\w+)$/, '.$1').replace(/\.to_out$/, '.to_out.0')
  if (component === 'unet') return layer
  return layer
    .replace(/\.self_attn\.to_out\.0$/, '.self_attn.out_proj')
    .replace(/\.self_attn\.to_([qkv])$/, '.self_attn.$1_proj')
}
