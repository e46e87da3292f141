import { z } from 'zod'
import type { Document } from './openapi-document.ts'

/** A text somewhere in a body, and how to put another value in its place. */
export type StringField = {
  /** JSON pointer, as in the errors of a problem document. */
  readonly pointer: string
  /** undefined when nothing bounds it. */
  readonly lengthMax: number | undefined
  readonly bodyWith: (value: unknown) => unknown
}

const schemaShape = z.looseObject({
  $ref: z.string().optional(),
  type: z.string().optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  format: z.string().optional(),
  maxLength: z.int().optional(),
  properties: z.record(z.string(), z.looseObject({})).optional(),
  items: z.looseObject({}).optional(),
  oneOf: z.array(z.looseObject({})).optional(),
  anyOf: z.array(z.looseObject({})).optional(),
})
type Schema = z.infer<typeof schemaShape>

/** Every text of a schema; bodies hold what must be there to reach it, and are not complete. */
export function stringFieldsOf(document: Document, part: unknown): readonly StringField[] {
  const schema = resolve(document, part)
  const variants = schema.oneOf ?? schema.anyOf
  if (variants !== undefined) {
    const all = variants.flatMap((variant) => stringFieldsOf(document, variant))
    return [...new Map(all.map((field) => [field.pointer, field])).values()]
  }
  if (schema.type === 'string') {
    return [{ pointer: '', lengthMax: boundOf(schema), bodyWith: (value) => value }]
  }
  if (schema.type === 'array') return below(stringFieldsOf(document, schema.items ?? {}), inArray)
  const properties = Object.entries(schema.properties ?? {})
  const fixed = properties.filter(([, one]) => 'const' in one)
  const constants = Object.fromEntries(fixed.map(([name, one]) => [name, one['const']]))
  return properties.flatMap(([name, one]) =>
    below(stringFieldsOf(document, one), {
      segment: name,
      around: (value) => ({ ...constants, [name]: value }),
    }),
  )
}

type Place = { readonly segment: string; readonly around: (value: unknown) => unknown }

const inArray: Place = { segment: '0', around: (value) => [value] }

function below(fields: readonly StringField[], { segment, around }: Place): readonly StringField[] {
  return fields.map(({ pointer, lengthMax, bodyWith }) => ({
    pointer: `/${segment}${pointer}`,
    lengthMax,
    bodyWith: (value) => around(bodyWith(value)),
  }))
}

/** Some formats are their own bound. */
function boundOf({ maxLength, format, enum: words, ...schema }: Schema): number | undefined {
  const isFixed = words !== undefined || schema.const !== undefined || format === 'date-time'
  return maxLength ?? (isFixed ? 64 : undefined)
}

function resolve({ components }: Document, part: unknown): Schema {
  const schema = schemaShape.parse(part)
  const name = schema.$ref?.split('/').at(-1)
  return name === undefined ? schema : schemaShape.parse(components.schemas[name])
}
