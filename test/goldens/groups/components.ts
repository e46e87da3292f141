import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { openComponent } from '../../../src/inference/models/components.ts'
import { openPackFiles } from '../../../src/inference/models/pack-files.ts'
import type { Feed } from '../../../src/inference/runtime/component.ts'
import { cpuBudget } from '../../../src/inference/runtime/cpu-budget.ts'
import { type CaseResult, type Check, relativeError } from '../measure.ts'
import { type Golden, readGolden, type TensorRef } from '../read.ts'
import { caseOf } from '../case.ts'

type InputRef = {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly off?: number
  readonly data?: readonly number[]
}
type ComponentCase = {
  readonly inputs: Readonly<Record<string, InputRef>>
  readonly outputs: Readonly<Record<string, TensorRef>>
  /** Of a graph in half precision, whose values are those of single precision. */
  readonly tolerance?: number
}
type Index = { readonly components: Readonly<Record<string, ComponentCase>> }

export async function compareComponents(folder: string): Promise<readonly CaseResult[]> {
  const models = path.join(folder, 'models')
  if (!existsSync(models)) return []
  const results: CaseResult[] = []
  for (const model of readdirSync(models).toSorted()) {
    const set = readGolden<Index>(path.join(models, model), 'components')
    for (const [name, item] of Object.entries(set?.index.components ?? {})) {
      const run = () =>
        compareComponent({ folder: path.join(models, model), name, item, set: set! })
      results.push(await caseOf(`components ${model}/${name}`, run))
    }
  }
  return results
}

type Subject = {
  readonly folder: string
  readonly name: string
  readonly item: ComponentCase
  readonly set: Golden<Index>
}

async function compareComponent({ folder, name, item, set }: Subject): Promise<readonly Check[]> {
  const component = await openComponent(await openPackFiles(folder), name, { threads: cpuBudget() })
  try {
    const feeds = Object.entries(item.inputs).map(([key, ref]) => [key, readFeed(set, ref)])
    const outputs = await component.run(Object.fromEntries(feeds))
    return Object.entries(item.outputs).map(([key, ref]) => ({
      what: key,
      error: relativeError(outputs[key]?.data ?? [], set.tensor(ref)),
      tolerance: item.tolerance ?? 1e-4,
    }))
  } finally {
    await component.dispose()
  }
}

function readFeed(set: Golden<Index>, ref: InputRef): Feed {
  const data = ref.data ?? set.tensor({ off: ref.off ?? 0, shape: ref.shape })
  return { data, shape: ref.shape }
}
