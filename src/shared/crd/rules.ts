/**
 * A CEL rule (x-kubernetes-validations) that the API server checks at one place of a resource.
 * A rule that mentions `oldSelf` runs on updates only.
 */
export type Rule<Self = never> = {
  readonly rule: string
  readonly message: string
  /** Field that a refusal names, relative to the place of the rule; absent: the place itself. */
  readonly fieldPath?: string
  /** The same fact in TypeScript, so that the api refuses a request before it is accepted. */
  readonly violatedBy?: (self: Self) => boolean
}

/** Rules of one place by name; names are for people and tests. */
export type Rules<Self = never> = Readonly<Record<string, Rule<Self>>>

/** Rules of one kind by place: `''` is the root, `spec.inputs[]` each member of a list. */
export type RulesByPlace = Readonly<Record<string, Rules>>

/** Words as a list of CEL. */
export function celList(words: readonly string[]): string {
  return `['${words.join("', '")}']`
}

/** A required field (or one with a default) never changes. */
export function immutable(field: string): Rule {
  return {
    rule: `self.${field} == oldSelf.${field}`,
    message: `${field} is immutable: create a new object`,
    fieldPath: `.${field}`,
  }
}

/** An optional field never changes, appears or vanishes. */
export function immutableOptional(field: string): Rule {
  const now = `self.${field}`
  const before = `oldSelf.${field}`
  return {
    rule: `has(${now}) ? has(${before}) && ${now} == ${before} : !has(${before})`,
    message: `${field} is immutable, also when absent: create a new object`,
    fieldPath: `.${field}`,
  }
}
