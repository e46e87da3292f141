import type { z } from 'zod'
import { AppError } from '../../shared/errors.ts'

/** Parses what a user asked for. @throws AppError request.invalid that names every bad field. */
export function parseRequest<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const fields = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
  const text = fields.map(({ path, message }) => `${path}: ${message}`).join('; ')
  throw new AppError('request.invalid', text, { fields, cause: parsed.error })
}
