import type { FastifySchemaCompiler } from 'fastify'
import type { z } from 'zod'
import { invalidRequest } from '../../shared/errors.ts'
import { fieldErrors, parameterName } from '../../shared/wire/field-errors.ts'

/** Checks body, query, path and headers with zod; a refusal names each field. */
export const compileValidator: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const pathOf = httpPart === 'body' ? undefined : parameterName
  return (value: unknown) => {
    const result = schema.safeParse(value)
    if (result.success) return { value: result.data }
    return { error: invalidRequest(fieldErrors(result.error.issues, pathOf)) }
  }
}
