import type { Lister } from '../../../platform/kube/list-watch.ts'
import type { Model } from '../../../shared/crd/model.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { isModelVisible } from '../../../shared/domain/known-model.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { ModelView } from '../../../shared/wire/models.ts'
import type { Page, PageQuery } from '../../../shared/wire/pages.ts'
import { pageOf } from '../../pages.ts'

export type ModelService = {
  /** Ready models that the caller's department may use, oldest first. */
  readonly list: (caller: Caller, query: PageQuery) => Page<ModelView>
  /** Throws `model.not_found`, also for one that is not ready or not visible. */
  readonly get: (caller: Caller, name: string) => ModelView
}

export function createModelService(models: Lister<Model>): ModelService {
  return {
    list: (caller, query) => {
      requirePermission(caller, 'models.read')
      const usable = models.list().filter((model) => isUsable(model, caller))
      const page = pageOf(usable, query, creationKey)
      return { ...page, items: page.items.map(toView) }
    },
    get: (caller, name) => {
      requirePermission(caller, 'models.read')
      const model = models.get(name)
      if (model !== undefined && isUsable(model, caller)) return toView(model)
      throw new AppError('model.not_found', `there is no model ${name} for your department`)
    },
  }
}

function isUsable({ spec, status }: Model, caller: Caller): boolean {
  const isReady = status?.conditions?.some(
    (condition) => condition.type === 'Ready' && condition.status === 'True',
  )
  return isReady === true && isModelVisible(spec, caller.department)
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
    price: { perImage: formatCredits(spec.price.perImageMicroCredits) },
  }
}
