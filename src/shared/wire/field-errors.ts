import type { z } from 'zod'
import { type FieldError, invalidRequest } from '../errors.ts'

const fieldsMax = 32
const messageLengthMax = 300
const partLengthMax = 64

type Path = readonly PropertyKey[]
type PathOf = (path: Path) => string

/**
 * The value as the schema reads it.
 * @throws AppError request.invalid that names each field by its JSON pointer (32 at most)
 */
export function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw invalidRequest(fieldErrors(result.error.issues))
}

/** The fields that the issues are about, an unknown key under its own name, not its parent's. */
export function fieldErrors(
  issues: readonly z.core.$ZodIssue[],
  pathOf: PathOf = jsonPointer,
): FieldError[] {
  return issues.flatMap((issue) => fieldsOf(issue, pathOf)).slice(0, fieldsMax)
}

function fieldsOf(issue: z.core.$ZodIssue, pathOf: PathOf): readonly FieldError[] {
  const message = printable(issue.message, messageLengthMax)
  if (issue.code !== 'unrecognized_keys') return [{ path: pathOf(issue.path), message }]
  return issue.keys.map((key) => ({
    path: pathOf([...issue.path, key]),
    message: 'is not a known field',
  }))
}

/** RFC 6901, with each part cut so that a client's own key cannot make the answer large. */
function jsonPointer(path: Path): string {
  return path.map((part) => `/${cut(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** The name of a parameter of the path, the query or the headers. */
export function parameterName(path: Path): string {
  return path.map(cut).join('.')
}

function cut(part: PropertyKey): string {
  return printable(String(part), partLengthMax)
}

/** A lone surrogate cannot be written as UTF-8: it becomes U+FFFD. */
function printable(text: string, lengthMax: number): string {
  return text.slice(0, lengthMax).toWellFormed()
}
