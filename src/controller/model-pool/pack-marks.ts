import { createHash } from 'node:crypto'
import type { ModelPool } from '../../shared/crd/model-pool.ts'
import type { Model } from '../../shared/crd/model.ts'
import { isTrue } from '../conditions.ts'
import { perObject } from '../per-object.ts'
import type { PoolFacts } from './pool-models.ts'

/**
 * The Models that pods are made with, as the text of an annotation: the mark of each, separated by
 * spaces. Another delivery or digest, of a Model that was made anew, is another mark.
 */
export function packMarks(pool: ModelPool, { modelOf }: Pick<PoolFacts, 'modelOf'>): string {
  return pool.spec.models.flatMap(({ name }) => markOf(modelOf(name)) ?? []).join(' ')
}

/**
 * Models of the pool that pods which were made with these marks do not have, or not as they are
 * now. No job starts with a Model that is missing or not ready, so that those are asked of no pod.
 */
export function lackedModels(
  marks: readonly string[],
  pool: ModelPool,
  { modelOf }: Pick<PoolFacts, 'modelOf'>,
): string[] {
  const names = pool.spec.models.map(({ name }) => name)
  return names.filter((name) => {
    const model = modelOf(name)
    if (model === undefined || !isTrue(model.status?.conditions, 'Ready')) return false
    return !marks.includes(markOfModel(model))
  })
}

function markOf(model: Model | undefined): string | undefined {
  return model === undefined ? undefined : markOfModel(model)
}

/** The API server writes the fields of an object in one order. */
const markOfModel = perObject(({ metadata: { name }, spec }: Model): string => {
  const { type, delivery, digest } = spec
  const content = JSON.stringify([type, delivery, digest])
  return `${name}=${createHash('sha256').update(content).digest('hex').slice(0, 16)}`
})
