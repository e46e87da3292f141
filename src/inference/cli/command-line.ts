import { parseArgs } from 'node:util'
import { AppError } from '../../shared/errors.ts'

export const help = `Makes pictures without a cluster.

  node src/inference/cli.ts --model models/demo --prompt "a scratch on metal" --output a.png
  node src/inference/cli.ts --model models/demo --prompt "a dent on wood" --output b.png \\
    --image a.png --mask mask.png

  --model FOLDER      model folder with atelier-model.json        (required)
  --prompt TEXT       what to make                                (required)
  --output FILE       PNG to write; later pictures get -2, -3, …  (required)
  --negative TEXT     what to avoid
  --steps N  --guidance N  --scheduler NAME  --width N  --height N     (the model's defaults)
  --seed N            same seed, same picture                     (random)
  --images N          how many                                    (1)
  --lora FOLDER[:SCALE]   LoRA pack; may be repeated

With a picture (PNG, JPEG, WebP) it is changed; with a mask too, it is repainted where that is
white:

  --image FILE  --mask FILE
  --strength N        how far the result may leave the picture, 0 to 1   (0.8; with a mask 1)
  --resize MODE       Fit, Fill or Stretch, for a picture of another size  (refused)
  --mask-blur PIXELS  --only-masked  --mask-padding PIXELS  --keep-unmasked
  --weighted          read (word:1.2) in prompts
  --truncate          cut prompts after 75 tokens as diffusers does, instead of chunking them
`

/** What was typed: texts, not yet checked. */
export type CommandLine = {
  readonly model: string
  readonly output: string
  readonly image: string | undefined
  readonly mask: string | undefined
  readonly loras: readonly string[]
  /** By the name of the job parameter they set. */
  readonly parameters: Readonly<Record<string, string | number | boolean | undefined>>
}

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

/** @throws AppError request.invalid for unknown or missing options. */
export function parseCommandLine(args: readonly string[]): CommandLine | 'Help' {
  const values = parse(args)
  if (values.help === true) return 'Help'
  const { model, output, prompt, image, mask, lora: loras = [] } = values
  if (model === undefined || output === undefined || prompt === undefined) {
    const message = `--model, --prompt and --output are required\n\n${help}`
    throw new AppError('request.invalid', message)
  }
  return { model, output, image, mask, loras, parameters: { prompt, ...parametersOf(values) } }
}

type Values = ReturnType<typeof parse>

function parametersOf(values: Values): CommandLine['parameters'] {
  return {
    negativePrompt: values.negative,
    steps: numberOf(values.steps),
    guidanceScale: numberOf(values.guidance),
    scheduler: values.scheduler,
    width: numberOf(values.width),
    height: numberOf(values.height),
    seed: numberOf(values.seed),
    batchCount: numberOf(values.images),
    strength: numberOf(values.strength),
    resizeMode: values.resize,
    maskBlur: numberOf(values['mask-blur']),
    inpaintArea: values['only-masked'] === true ? 'MaskedOnly' : undefined,
    maskPadding: numberOf(values['mask-padding']),
    keepUnmaskedPixels: values['keep-unmasked'],
    promptSyntax: values.weighted === true ? 'Weighted' : undefined,
    promptOverflow: values.truncate === true ? 'Truncate' : undefined,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        model: text,
        prompt: text,
        output: text,
        negative: text,
        steps: text,
        guidance: text,
        scheduler: text,
        width: text,
        height: text,
        seed: text,
        images: text,
        lora: { type: 'string', multiple: true },
        image: text,
        mask: text,
        strength: text,
        resize: text,
        'mask-blur': text,
        'only-masked': flag,
        'mask-padding': text,
        'keep-unmasked': flag,
        weighted: flag,
        truncate: flag,
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : 'the options cannot be read'
    throw new AppError('request.invalid', message, { cause })
  }
}

function numberOf(value: string | undefined): number | undefined {
  return value === undefined ? undefined : Number(value)
}
