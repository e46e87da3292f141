import { AppError } from '../../shared/errors.ts'

/** Names the file of the pack, and the field in it where there is one, for the operator. */
export function packError(
  at: { readonly file: string; readonly field?: string; readonly cause?: unknown },
  problem: string,
): AppError {
  const path = at.field === undefined ? at.file : `${at.file}#${at.field}`
  return new AppError('model.pack_invalid', `${path}: ${problem}`, {
    fields: [{ path, message: problem }],
    cause: at.cause,
  })
}

/** The runtime's own words about a graph that it cannot open. */
export function openError(file: string, cause: unknown): AppError {
  const detail = cause instanceof Error ? cause.message : String(cause)
  return packError({ file, cause }, `onnxruntime cannot open the graph: ${detail}`)
}
