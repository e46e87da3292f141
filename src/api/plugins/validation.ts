import type { FastifySchemaCompiler } from 'fastify'
import type { z } from 'zod'
import { type FieldError, invalidRequest } from '../../shared/errors.ts'

const fieldsMax = 32
const messageLengthMax = 300

/** Checks body, query, path and headers with zod; a refusal names each field. */
export const compileValidator: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const pathOf = httpPart === 'body' ? jsonPointer : parameterName
  return (value: unknown) => {
    const result = schema.safeParse(value)
    if (result.success) return { value: result.data }
    return { error: invalidRequest(toFields(result.error.issues, pathOf)) }
  }
}

type PathOf = (path: readonly PropertyKey[]) => string

function toFields(issues: readonly z.core.$ZodIssue[], pathOf: PathOf): FieldError[] {
  return issues.flatMap((issue) => fieldsOf(issue, pathOf)).slice(0, fieldsMax)
}

/** An unknown key is reported under its own name, not under its parent's. */
function fieldsOf(issue: z.core.$ZodIssue, pathOf: PathOf): readonly FieldError[] {
  const message = printable(issue.message, messageLengthMax)
  if (issue.code !== 'unrecognized_keys') return [{ path: pathOf(issue.path), message }]
  return issue.keys.map((key) => ({
    path: pathOf([...issue.path, key]),
    message: 'is not a known field',
  }))
}

/** RFC 6901, with each part cut so that a client's own key cannot make the answer large. */
function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${cut(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

function parameterName(path: readonly PropertyKey[]): string {
  return path.map(cut).join('.')
}

function cut(part: PropertyKey): string {
  return printable(String(part), 64)
}

/** A lone surrogate cannot be written as UTF-8: it becomes U+FFFD. */
function printable(text: string, lengthMax: number): string {
  return text.slice(0, lengthMax).toWellFormed()
}
