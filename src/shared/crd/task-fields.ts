import { type Parameters, pictureTasks, type Task } from './generation-job.ts'

type FieldUse = { readonly field: keyof Parameters; readonly tasks: readonly Task[] }

const fromPicture: readonly Task[] = ['ImageToImage', 'Inpaint']
const inpaint: readonly Task[] = ['Inpaint']

/**
 * Parameters that only some tasks use. For every other task they are refused by name: whoever set
 * one meant something else than what would be made.
 */
export const limitedFields = [
  { field: 'strength', tasks: fromPicture },
  { field: 'resizeMode', tasks: fromPicture },
  { field: 'maskBlur', tasks: inpaint },
  { field: 'inpaintArea', tasks: inpaint },
  { field: 'maskPadding', tasks: inpaint },
  { field: 'keepUnmaskedPixels', tasks: inpaint },
  { field: 'promptSyntax', tasks: pictureTasks },
  { field: 'promptOverflow', tasks: pictureTasks },
  { field: 'loras', tasks: pictureTasks },
] as const satisfies readonly FieldUse[]
export type LimitedField = (typeof limitedFields)[number]['field']

export function tasksWith(field: LimitedField): readonly Task[] {
  return limitedFields.find((one) => one.field === field)?.tasks ?? []
}

/** The parameters without those that the task does not use. */
export function usedFields(task: Task, parameters: Parameters): Parameters {
  const used: Parameters = { ...parameters }
  for (const { field } of limitedFields) if (!tasksWith(field).includes(task)) delete used[field]
  return used
}
