import { stringify } from 'yaml'
import { pictureTasks } from '../../shared/crd/generation-job.ts'
import type { ModelSpec } from '../../shared/crd/model.ts'
import type { AnyManifest, LoraManifest, Manifest } from '../models/manifest.ts'
import { largestNeedBytes, loraNeedBytes } from '../models/memory-need.ts'

type Pack = {
  readonly digest: string
  /** Name of the pack's folder: where it is taken to lie in the volume. */
  readonly folder: string
}

export type ModelResource = {
  readonly apiVersion: string
  readonly kind: 'Model'
  readonly metadata: { readonly name: string }
  readonly spec: Omit<ModelSpec, 'visibility'>
}

/** The Model that serves a pack from a volume; price and place are for the operator to set. */
export function modelResource(manifest: AnyManifest, pack: Pack): ModelResource {
  const { name, description, family, licence, type } = manifest
  const common = {
    type,
    displayName: name,
    ...(description !== '' && { description }),
    family,
    licence,
    delivery: { type: 'Claim' as const, claim: { name: 'models', path: pack.folder } },
    digest: pack.digest,
    runsOn: ['Gpu' as const, 'Cpu' as const],
  }
  const spec =
    manifest.type === 'Base'
      ? { ...common, ...baseSpec(manifest) }
      : { ...common, ...loraSpec(manifest) }
  return { apiVersion: 'atelier.dev/v1alpha1', kind: 'Model', metadata: { name }, spec }
}

type SpecPart = Pick<ModelSpec, 'tasks' | 'defaults' | 'sizes' | 'price' | 'resources'>

function baseSpec(manifest: Manifest): SpecPart {
  const { tasks, defaults, sizes } = manifest
  return {
    tasks,
    defaults,
    sizes,
    price: { perImageMicroCredits: 1_000_000 },
    resources: { gpus: 1, cpu: '2', memory: toQuantity(largestNeedBytes(manifest)) },
  }
}

/** Its base model has the price and the GPUs. */
function loraSpec({ files }: LoraManifest): SpecPart {
  return {
    tasks: [...pictureTasks],
    price: { perImageMicroCredits: 0 },
    resources: { gpus: 0, cpu: '0', memory: toQuantity(loraNeedBytes(files)) },
  }
}

const comment = `# delivery: the volume claim and the folder in it are placeholders for yours.
# price: 1000000 micro-credits are 1 credit for each picture; set what your department pays.
`

export function formatModel(resource: ModelResource): string {
  return comment + stringify(resource, { lineWidth: 100 })
}

function toQuantity(bytes: number): string {
  const step = 64
  return `${Math.ceil(bytes / 2 ** 20 / step) * step}Mi`
}
