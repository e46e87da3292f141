import { AppError } from '../../shared/errors.ts'
import { packError } from '../models/pack-error.ts'
import {
  type LayerName,
  type LoraComponent,
  readLayerName,
  readTensorName,
  type TensorRole,
} from './layer-names.ts'
import { alphaOf, type PeftSettings, readPeftSettings } from './peft-settings.ts'
import { type LoraTensor, readSafetensors } from './safetensors.ts'

/** What a LoRA adds to one layer: factor · up · down. */
export type LoraLayer = {
  /** As in the file, without its ending; for messages. */
  readonly name: string
  readonly component: LoraComponent
  /** Underscored path of the layer within its component. */
  readonly key: string
  readonly rank: number
  /** alpha / rank, or what PEFT has instead. */
  readonly factor: number
  /** [rank, in] or [rank, in, height, width]. */
  readonly down: LoraTensor
  /** [out, rank] or [out, rank, 1, 1]. */
  readonly up: LoraTensor
}

export type Lora = { readonly file: string; readonly layers: readonly LoraLayer[] }

type Tensors = Partial<Readonly<Record<TensorRole, LoraTensor>>>

const rankMax = 4096
const namesShown = 3

/**
 * Reads an untrusted LoRA file as kohya, PEFT or diffusers (also before PEFT) write it. Alpha
 * absent or 0 counts as the rank, as in kohya's networks/lora.py. Throws packError for damage and
 * inference.unsupported for kinds other than a plain LoRA, naming file and key.
 */
export function readLora(bytes: Uint8Array, file: string): Lora {
  const { metadata, tensors } = readSafetensors(bytes, file)
  const settings = readPeftSettings(metadata, file)
  for (const [component, { use_dora: isDora }] of settings) {
    if (isDora === true) throw unsupported(file, [`${component}.use_dora`], 'DoRA is not supported')
  }
  const groups = groupByLayer(tensors, file)
  if (groups.size === 0) throw packError({ file }, 'has no LoRA in it')
  const layers = Array.from(groups, ([stem, group]) => {
    const name = readLayerName(stem)
    if (name === undefined) throw unsupported(file, [stem], 'belongs to no known component')
    return readLayer({ stem, name, group, file }, settings.get(name.component))
  })
  checkNamedOnce(layers, file)
  return { file, layers }
}

function groupByLayer(
  tensors: ReadonlyMap<string, LoraTensor>,
  file: string,
): ReadonlyMap<string, Tensors> {
  const keys = [...tensors.keys()]
  const dora = keys.filter((key) => /dora_scale|lora_magnitude_vector/.test(key))
  if (dora.length > 0) throw unsupported(file, dora, 'DoRA is not supported')
  const unknown = keys.filter((key) => readTensorName(key) === undefined)
  if (unknown.length > 0) throw unsupported(file, unknown, 'only plain LoRA weights are supported')
  const groups = new Map<string, Tensors>()
  for (const [key, tensor] of tensors) {
    const name = readTensorName(key)
    if (name === undefined) continue
    const group = groups.get(name.stem)
    if (group?.[name.role] !== undefined) throw packError({ file, field: key }, 'is there twice')
    groups.set(name.stem, { ...group, [name.role]: tensor })
  }
  return groups
}

type Group = {
  readonly stem: string
  readonly name: LayerName
  readonly group: Tensors
  readonly file: string
}

function readLayer(
  { stem, name, group, file }: Group,
  settings: PeftSettings | undefined,
): LoraLayer {
  const { down, up, alpha: own } = group
  const at = { file, field: shorten(stem) }
  if (down === undefined) throw packError(at, 'has no down (A) weight')
  if (up === undefined) throw packError(at, 'has no up (B) weight')
  const rank = down.shape[0]
  if (!isDown(down) || !isUp(up, rank)) {
    const shapes = `[${down.shape.join(', ')}] and [${up.shape.join(', ')}]`
    throw packError(at, `shapes ${shapes} are not those of a LoRA`)
  }
  const factor = factorOf({ alpha: own && readScalar(own), name, rank }, settings)
  if (!isFinite(down) || !isFinite(up) || !Number.isFinite(factor)) {
    throw packError(at, 'has values that are not finite')
  }
  return { name: stem, component: name.component, key: name.key, rank, factor, down, up }
}

type Scaling = {
  readonly alpha: number | undefined
  readonly name: LayerName
  readonly rank: number
}

/** The file's own alpha comes before that of PEFT's settings. */
function factorOf({ alpha, name, rank }: Scaling, settings: PeftSettings | undefined): number {
  const stated = alpha ?? alphaOf(settings, name) ?? 0
  const divisor = settings?.use_rslora === true ? Math.sqrt(rank) : rank
  return (stated === 0 ? rank : stated) / divisor
}

function isDown({ shape }: LoraTensor): boolean {
  const [rank] = shape
  return (shape.length === 2 || shape.length === 4) && rank >= 1 && rank <= rankMax
}

function isUp({ shape }: LoraTensor, rank: number): boolean {
  const [, columns, height = 1, width = 1] = shape
  const isFlat = height === 1 && width === 1
  return (shape.length === 2 || shape.length === 4) && columns === rank && isFlat
}

function isFinite({ values }: LoraTensor): boolean {
  return values.every(Number.isFinite)
}

/** NaN for anything that is not a single number. */
function readScalar({ values }: LoraTensor): number {
  return values.length === 1 ? values[0] : Number.NaN
}

function checkNamedOnce(layers: readonly LoraLayer[], file: string): void {
  const seen = new Set<string>()
  for (const { name, component, key } of layers) {
    const id = `${component} ${key}`
    if (seen.has(id)) throw packError({ file, field: shorten(name) }, 'the layer is there twice')
    seen.add(id)
  }
}

function unsupported(file: string, keys: readonly string[], problem: string): AppError {
  const shown = keys.slice(0, namesShown).map(shorten).join(', ')
  const more = keys.length > namesShown ? ` and ${keys.length - namesShown} more` : ''
  return new AppError('inference.unsupported', `${file}#${shown}${more}: ${problem}`, {
    fields: [{ path: `${file}#${shorten(keys[0])}`, message: problem }],
  })
}

function shorten(name: string): string {
  return name.slice(0, 200)
}
