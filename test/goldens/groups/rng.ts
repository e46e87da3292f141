import { TorchGenerator } from '../../../src/inference/random/torch-generator.ts'
import { absoluteError, type CaseResult, type Check } from '../measure.ts'
import { readGolden, sizeOf, type TensorRef } from '../read.ts'
import { caseOf } from '../case.ts'

type RngCase = {
  readonly kind: string
  readonly seed?: string
  readonly seeds?: readonly string[]
  readonly calls?: readonly (readonly ['randn' | 'rand', number])[]
  readonly values: TensorRef
}
type Index = { readonly cases: readonly RngCase[] }

export async function compareRng(folder: string): Promise<readonly CaseResult[]> {
  const set = readGolden<Index>(folder, 'rng')
  const results = (set?.index.cases ?? []).map((item, i) =>
    caseOf(`rng[${i}] ${item.kind} seed ${item.seed ?? item.seeds?.join(',')}`, () => {
      const actual = draw(item)
      if (actual === undefined) return { skipped: `rng kind ${item.kind} is not known` }
      return [check(item, absoluteError(actual, set!.tensor(item.values)))]
    }),
  )
  return Promise.all(results)
}

function check(item: RngCase, error: number): Check {
  const exact = item.kind === 'rand'
  return { what: 'values', error, tolerance: exact ? 0 : 1e-5 }
}

function draw(item: RngCase): Float32Array | undefined {
  const size = sizeOf(item.values.shape)
  const seeds = item.seeds ?? [item.seed ?? '0']
  const generators = seeds.map((seed) => new TorchGenerator(BigInt(seed)))
  switch (item.kind) {
    case 'rand':
      return generators[0].rand(size)
    case 'randn':
    case 'shape':
      return generators[0].randn(size)
    case 'per_image':
      return join(generators.map((generator) => generator.randn(size / seeds.length)))
    case 'sequence':
      return join((item.calls ?? []).map(([name, count]) => generators[0][name](count)))
    default:
      return undefined
  }
}

function join(parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]))
}
