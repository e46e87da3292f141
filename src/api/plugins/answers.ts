import type { z } from 'zod'

type Answer<Schema extends z.ZodType> = {
  readonly description: string
  readonly content: { readonly 'application/json': { readonly schema: Schema } }
}

/** A good answer of a route, for its serializer and the OpenAPI document. Faults are thrown. */
export function answer<Schema extends z.ZodType>(
  description: string,
  schema: Schema,
): Answer<Schema> {
  return { description, content: { 'application/json': { schema } } }
}
