import type { Lister } from '../../../platform/kube/list-watch.ts'
import type { Model } from '../../../shared/crd/model.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { isModelAllowed, type ModelUser } from '../../../shared/domain/known-model.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits, type Rates } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { ModelView } from '../../../shared/wire/models.ts'
import type { Page, PageQuery } from '../../../shared/wire/pages.ts'
import { pageOf } from '../../pages.ts'
import { type DepartmentMemory, modelUserOf } from '../departments/remember.ts'

export type ModelService = {
  /** Ready models that the caller's department may use, oldest first. */
  readonly list: (caller: Caller, query: PageQuery) => Promise<Page<ModelView>>
  /** Throws `model.not_found`, also for one that is not ready or not visible. */
  readonly get: (caller: Caller, name: string) => Promise<ModelView>
}

export function createModelService(
  models: Lister<Model>,
  departments: Pick<DepartmentMemory, 'departmentOf'>,
): ModelService {
  return {
    list: async (caller, query) => {
      requirePermission(caller, 'models.read')
      const user = await modelUserOf(departments, caller.department)
      const usable = models.list().filter((model) => isUsable(model, user))
      const page = pageOf(usable, query, creationKey)
      return { ...page, items: page.items.map(toView) }
    },
    get: async (caller, name) => {
      requirePermission(caller, 'models.read')
      const user = await modelUserOf(departments, caller.department)
      const model = models.get(name)
      if (model !== undefined && isUsable(model, user)) return toView(model)
      throw new AppError('model.not_found', `there is no model ${name} for your department`)
    },
  }
}

function isUsable(model: Model, user: ModelUser): boolean {
  const isReady = model.status?.conditions?.some(
    (condition) => condition.type === 'Ready' && condition.status === 'True',
  )
  return isReady === true && isModelAllowed(model, user)
}

function creationKey({ metadata }: Model): string {
  return `${metadata.creationTimestamp}/${metadata.name}`
}

function toView({ metadata, spec }: Model): ModelView {
  return {
    name: metadata.name,
    displayName: spec.displayName ?? metadata.name,
    description: spec.description ?? '',
    type: spec.type,
    family: spec.family,
    licence: spec.licence,
    tasks: spec.tasks,
    defaults: spec.defaults ?? {},
    sizes: spec.sizes ?? null,
    price: toRates(spec.price),
  }
}

function toRates(rates: Rates): ModelView['price'] {
  return {
    flat: formatCredits(rates.flatMicroCredits ?? 0),
    perImage: formatCredits(rates.perImageMicroCredits ?? 0),
    perMegapixelStep: formatCredits(rates.perMegapixelStepMicroCredits ?? 0),
    perTrainingStep: formatCredits(rates.perTrainingStepMicroCredits ?? 0),
  }
}
