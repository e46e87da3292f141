import type { z } from 'zod'
import { AppError } from '../../shared/errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads a process's variables through its schema. All that is wrong comes in one
 * `platform.misconfigured` whose message has a line per variable; values are never repeated.
 */
export function readConfig<Schema extends z.ZodType>(
  schema: Schema,
  environment: Environment = process.env,
): z.output<Schema> {
  // An empty variable is one that was not set: shells and manifests cannot unset easily.
  const given = Object.entries(environment).filter(([, value]) => value !== '')
  const parsed = schema.safeParse(Object.fromEntries(given))
  if (parsed.success) return parsed.data
  const fields = parsed.error.issues.map((issue) => ({
    path: String(issue.path[0] ?? 'environment'),
    message: describe(issue),
  }))
  const lines = fields.map(({ path, message }) => `  ${path}: ${message}`)
  const message = `the environment variables are not right:\n${lines.join('\n')}`
  throw new AppError('platform.misconfigured', message, { fields })
}

function describe(issue: z.core.$ZodIssue): string {
  const missing = issue.code === 'invalid_type' && issue.input === undefined
  return missing ? 'is missing' : issue.message
}
