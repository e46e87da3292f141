import { z } from 'zod'

/** The part of structural OpenAPI v3 that our resources use. */
export type Schema = {
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  description?: string
  format?: string
  default?: unknown
  enum?: readonly unknown[]
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  multipleOf?: number
  minItems?: number
  maxItems?: number
  required?: readonly string[]
  properties?: Record<string, Schema>
  items?: Schema
  [extension: `x-kubernetes-${string}`]: unknown
}

/**
 * Structural OpenAPI v3 of a zod schema, as the API server wants it: inlined, without
 * additionalProperties (so unknown fields are pruned, or refused by strict clients), with the
 * number formats of Kubernetes. Shapes that cannot be structural (unions, references) are refused.
 */
export function structuralSchema(source: z.ZodType): Schema {
  const { $schema: _ignored, ...schema } = z.toJSONSchema(source, {
    target: 'openapi-3.0',
    io: 'input',
    unrepresentable: 'throw',
    cycles: 'throw',
    reused: 'inline',
  })
  return structural(schema, '')
}

const keywords = [
  'type',
  'description',
  'format',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'multipleOf',
  'minItems',
  'maxItems',
  'required',
] as const

function structural(source: Readonly<Record<string, unknown>>, place: string): Schema {
  const { properties, items, ...plain } = source
  const unknownKeyword = Object.keys(plain).find((key) => !keywords.some((known) => known === key))
  if (unknownKeyword !== undefined) throw new Error(`${place}: ${unknownKeyword} is not structural`)
  // The keywords were just compared with the list that the type is made of; z writes their values.
  const schema: Schema = withFormat(plain as Schema)
  if (isRecord(properties)) {
    schema.properties = Object.fromEntries(
      Object.entries(properties).map(([name, child]) => [name, member(child, `${place}.${name}`)]),
    )
  }
  if (items !== undefined) schema.items = member(items, `${place}[]`)
  return schema
}

function member(source: unknown, place: string): Schema {
  if (!isRecord(source)) throw new Error(`${place}: not a schema`)
  return structural(source, place)
}

function withFormat(schema: Schema): Schema {
  if (schema.type === 'number') return { ...schema, format: 'double' }
  if (schema.type === 'integer') return { ...schema, format: integerFormat(schema) }
  if (schema.format !== 'date-time') return schema
  // The API server knows the format; zod adds a long pattern that says the same.
  const { pattern: _ignored, ...rest } = schema
  return rest
}

function integerFormat({ minimum = -Infinity, maximum = Infinity }: Schema): string {
  return minimum >= -(2 ** 31) && maximum < 2 ** 31 ? 'int32' : 'int64'
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
