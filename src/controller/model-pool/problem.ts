import { modelPoolReasons } from '../../shared/crd/conditions.ts'
import type { Model } from '../../shared/crd/model.ts'
import { isModelVisible } from '../../shared/domain/known-model.ts'
import { jobsNamespace } from '../../shared/names.ts'
import { findCondition } from '../conditions.ts'
import { poolKeySecretName } from '../pool-keys.ts'
import { poolDeploymentName } from './names.ts'
import type { PoolObserved } from './observed.ts'

export type PoolReason = keyof typeof modelPoolReasons.Ready

/** Why no pod can be made as the spec wants it. */
export type PoolProblem = { readonly reason: PoolReason; readonly message: string }

/** The first thing that is wrong with names and models; undefined when nothing is. */
export function problemOf(observed: PoolObserved): PoolProblem | undefined {
  return takenName(observed) ?? modelProblem(observed) ?? baseProblem(observed)
}

function takenName({ pool, key, deployment }: PoolObserved): PoolProblem | undefined {
  const { name } = pool.metadata
  const taken = [
    ...(key === 'Foreign' ? [`Secret ${poolKeySecretName(name)}`] : []),
    ...(deployment.state === 'Foreign' ? [`Deployment ${poolDeploymentName(name)}`] : []),
  ]
  if (taken.length === 0) return undefined
  const message = `${taken.join(' and ')} exists and does not belong to this ModelPool.`
  return { reason: 'NameTaken', message }
}

function modelProblem(observed: PoolObserved): PoolProblem | undefined {
  const names = observed.pool.spec.models
  const problems = names.map(({ name }, index) => problemOfModel(observed, { name, index }))
  return problems.find((problem) => problem !== undefined)
}

type Named = { readonly name: string; readonly index: number }

function problemOfModel(
  { pool, facts, department }: PoolObserved,
  { name, index }: Named,
): PoolProblem | undefined {
  const field = `spec.models[${index}].name`
  const model = facts.modelOf(name)
  if (model === undefined) {
    return { reason: 'ModelNotFound', message: `${field}: there is no Model ${name}.` }
  }
  // The platform's own pools serve all departments, each with what it may see.
  const isPlatform = pool.metadata.namespace === jobsNamespace
  if (!isPlatform && !isVisible(model, department)) {
    const who = department === undefined ? 'a namespace without one' : `department ${department}`
    const message = `${field}: Model ${name} is for other departments, not for ${who}.`
    return { reason: 'NotVisible', message }
  }
  return readinessProblem(model, `${field}: Model ${name} is not ready.`)
}

function isVisible({ spec }: Model, department: string | undefined): boolean {
  return department === undefined ? spec.visibility === 'Public' : isModelVisible(spec, department)
}

function readinessProblem({ status }: Model, sentence: string): PoolProblem | undefined {
  const ready = findCondition(status?.conditions, 'Ready')
  if (ready?.status === 'True') return undefined
  const reason = ready?.reason === 'DeliveryUnsupported' ? 'DeliveryUnsupported' : 'ModelNotReady'
  return { reason, message: `${sentence} ${ready?.message ?? ''}`.trim() }
}

function baseProblem({ pool, facts }: PoolObserved): PoolProblem | undefined {
  const hasBase = pool.spec.models.some(({ name }) => facts.modelOf(name)?.spec.type === 'Base')
  if (hasBase) return undefined
  return { reason: 'NoBaseModel', message: modelPoolReasons.Ready.NoBaseModel }
}
