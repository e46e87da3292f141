import type { Model, ModelSpec } from '../crd/model.ts'

/** A Model as far as requests are checked against it. */
export type KnownModel = Pick<Model, 'metadata' | 'spec'>

/** `loras` are the Models that `parameters.loras` names, in that order; null where there is none. */
export type RequestModels = {
  readonly model: KnownModel
  readonly loras: readonly (KnownModel | null)[]
}

/** Whether a department may know of and use a Model. */
export function isModelVisible(
  model: Pick<ModelSpec, 'visibility' | 'departments'>,
  department: string,
): boolean {
  if (model.visibility === 'Public') return true
  return model.departments?.includes(department) ?? false
}

/** A department as far as its models go; `allowedModels` null: all that it may see. */
export type ModelUser = {
  readonly name: string
  readonly allowedModels: readonly string[] | null
}

/** Whether a department may use a Model: visible to it, and not shut out by its own list. */
export function isModelAllowed({ metadata, spec }: KnownModel, department: ModelUser): boolean {
  if (!isModelVisible(spec, department.name)) return false
  return department.allowedModels?.includes(metadata.name) ?? true
}
