import type { Assignment } from '../../shared/wire/pool.ts'

/** A slot that has the model warm, else the one that is to give up its own, else any free one. */
export function chooseSlot<T>(
  free: readonly T[],
  modelOf: (slot: T) => string | null | undefined,
  { model, instead }: Pick<Assignment, 'model' | 'instead'>,
): T | undefined {
  const withModel = (name: string) => free.find((slot) => modelOf(slot) === name)
  return withModel(model) ?? (instead === undefined ? undefined : withModel(instead)) ?? free[0]
}
