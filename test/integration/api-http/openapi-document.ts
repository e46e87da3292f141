import { z } from 'zod'

const schema = z.looseObject({})
const media = z.looseObject({
  schema,
  examples: z.record(z.string(), z.object({ value: z.unknown() })).optional(),
})
const parameter = z.looseObject({
  name: z.string(),
  in: z.enum(['path', 'query', 'header']),
  required: z.boolean().optional(),
  schema,
})
const operation = z.looseObject({
  operationId: z.string(),
  summary: z.string(),
  tags: z.array(z.string()),
  security: z.array(z.unknown()),
  parameters: z.array(parameter).default([]),
  requestBody: z.looseObject({ content: z.record(z.string(), media) }).optional(),
  responses: z.record(
    z.string(),
    z.looseObject({ description: z.string(), content: z.record(z.string(), media).optional() }),
  ),
})
const document = z.looseObject({
  openapi: z.string(),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.looseObject({
    schemas: z.record(z.string(), schema),
    securitySchemes: z.looseObject({}),
  }),
})
export type Document = z.infer<typeof document>

export type OperationAt = {
  readonly path: string
  readonly method: string
  readonly operation: z.infer<typeof operation>
}

export function readDocument(json: unknown): Document {
  return document.parse(json)
}

export function operationsOf({ paths }: Document): readonly OperationAt[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({ path, method, operation: one })),
  )
}

/** A validator of one schema of the document, built from the document alone. */
export function schemaOf({ components }: Document, part: Record<string, unknown>): z.ZodType {
  // Draft 2020-12 wants the shared schemas under $defs; the pointers are moved along.
  const text = JSON.stringify({ ...part, $defs: components.schemas })
  const moved: unknown = JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/'))
  return z.fromJSONSchema(z.looseObject({}).parse(moved))
}
