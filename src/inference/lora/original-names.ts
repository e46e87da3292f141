/**
 * Names that the UNet's layers had in the original Stable Diffusion code, which kohya keeps in
 * LoRAs for SDXL: `down_blocks.1.attentions.0.proj_in` was `input_blocks_4_1_proj_in`. The
 * numbering is that of convert_ldm_unet_checkpoint in diffusers/loaders/single_file_utils.py.
 * Takes dotted paths and gives underscored names by path; layers without such a name are left out.
 */
export function originalNames(paths: readonly string[]): ReadonlyMap<string, string> {
  const first = paths.flatMap((path) => /^down_blocks\.0\.resnets\.(\d+)\./.exec(path)?.[1] ?? [])
  const attending = paths.flatMap((path) => /^up_blocks\.(\d+)\.attentions\./.exec(path)?.[1] ?? [])
  const layout = { layersPerBlock: new Set(first).size, attending: new Set(attending) }
  const found = paths.flatMap((path) => {
    const name = originalName(path, layout)
    return name === undefined ? [] : [[path, name] as const]
  })
  return new Map(found)
}

type Layout = { readonly layersPerBlock: number; readonly attending: ReadonlySet<string> }
type Parts = Readonly<Record<string, string>>

function originalName(path: string, layout: Layout): string | undefined {
  for (const { pattern, name } of rules) {
    const parts = pattern.exec(path)?.groups
    if (parts !== undefined) return name(parts, layout)
  }
  return fixedNames[path]
}

/** The original counts all layers of a side through, resampling layers included. */
const rules: readonly {
  readonly pattern: RegExp
  readonly name: (parts: Parts, layout: Layout) => string
}[] = [
  {
    pattern:
      /^down_blocks\.(?<block>\d+)\.(?<kind>resnets|attentions)\.(?<layer>\d+)\.(?<rest>.+)$/,
    name: (parts, { layersPerBlock }) => {
      const index = 1 + Number(parts.block) * (layersPerBlock + 1) + Number(parts.layer)
      return `input_blocks_${index}_${memberName(parts)}`
    },
  },
  {
    pattern: /^down_blocks\.(?<block>\d+)\.downsamplers\.0\.conv$/,
    name: (parts, { layersPerBlock }) =>
      `input_blocks_${(Number(parts.block) + 1) * (layersPerBlock + 1)}_0_op`,
  },
  {
    pattern: /^mid_block\.resnets\.(?<layer>\d+)\.(?<rest>.+)$/,
    name: ({ layer, rest }) => `middle_block_${2 * Number(layer)}_${resnetName(rest)}`,
  },
  {
    pattern: /^mid_block\.attentions\.0\.(?<rest>.+)$/,
    name: ({ rest }) => `middle_block_1_${underscored(rest)}`,
  },
  {
    pattern: /^up_blocks\.(?<block>\d+)\.(?<kind>resnets|attentions)\.(?<layer>\d+)\.(?<rest>.+)$/,
    // One layer more than on the way down.
    name: (parts, { layersPerBlock }) => {
      const index = Number(parts.block) * (layersPerBlock + 1) + Number(parts.layer)
      return `output_blocks_${index}_${memberName(parts)}`
    },
  },
  {
    pattern: /^up_blocks\.(?<block>\d+)\.upsamplers\.0\.conv$/,
    name: ({ block }, { layersPerBlock, attending }) => {
      const index = Number(block) * (layersPerBlock + 1) + layersPerBlock
      return `output_blocks_${index}_${attending.has(block) ? 2 : 1}_conv`
    },
  },
]

function memberName({ kind, rest }: Parts): string {
  return kind === 'attentions' ? `1_${underscored(rest)}` : `0_${resnetName(rest)}`
}

function resnetName(layer: string): string {
  return resnetNames[layer] ?? underscored(layer)
}

function underscored(path: string): string {
  return path.replaceAll('.', '_')
}

const resnetNames: Readonly<Record<string, string | undefined>> = {
  conv1: 'in_layers_2',
  time_emb_proj: 'emb_layers_1',
  conv2: 'out_layers_3',
  conv_shortcut: 'skip_connection',
}

const fixedNames: Readonly<Record<string, string | undefined>> = {
  conv_in: 'input_blocks_0_0',
  conv_out: 'out_2',
  'time_embedding.linear_1': 'time_embed_0',
  'time_embedding.linear_2': 'time_embed_2',
  'add_embedding.linear_1': 'label_emb_0_0',
  'add_embedding.linear_2': 'label_emb_0_2',
}
