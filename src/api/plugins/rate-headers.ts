/**
 * Of every answer to a request that was counted: draft-ietf-httpapi-ratelimit-headers-06. They are
 * absent where an installation counts nothing.
 */
const sentences = {
  'RateLimit-Limit': 'Requests that fit into the window of this kind of route',
  'RateLimit-Remaining': 'Requests that are left in it',
  'RateLimit-Reset': 'Seconds until the window ends',
} as const

/** Described once in the OpenAPI document, and pointed at from each answer. */
export const rateHeaderComponents = Object.fromEntries(
  Object.entries(sentences).map(([name, description]) => [
    name,
    { description, schema: { type: 'integer' as const, minimum: 0 } },
  ]),
)

export const rateHeaderReferences = Object.fromEntries(
  Object.keys(sentences).map((name) => [name, { $ref: `#/components/headers/${name}` }]),
)
