import fastifySwagger, { type SwaggerTransform } from '@fastify/swagger'
import type { FastifyInstance, FastifyContextConfig } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { assert } from '../../shared/assert.ts'
import { accessCookie } from './credentials.ts'
import { problemAnswers } from './problem-answers.ts'
import { rateHeaderComponents, rateHeaderReferences } from './rate-headers.ts'

const description = `Atelier lets teams share GPUs to make images.

Sign in with \`POST /v1/sessions\` and send the token as \`Authorization: Bearer …\`. Ask for a
job with \`POST /v1/jobs\` and watch it with \`GET /v1/jobs/{id}/events\`; its pictures are the
links in \`outputs\`. Every failure is an RFC 9457 problem document with a stable \`code\`.`

const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', description: 'An access token, or an API key' },
  basic: { type: 'http', scheme: 'basic', description: 'An API key as the password' },
  cookie: {
    type: 'apiKey',
    in: 'cookie',
    name: accessCookie,
    description: 'Signed in with `transport: Cookie`; writes must come from our own pages',
  },
} as const

/** Turns the routes into an OpenAPI 3.1 document, served at /openapi.json. */
export async function registerOpenApi(app: FastifyInstance, publicUrl: string): Promise<void> {
  const operations = new Map<string, FastifyContextConfig>()
  const transform: SwaggerTransform = (route) => {
    const { operationId, hide } = route.schema ?? {}
    if (hide !== true) {
      assert(operationId !== undefined, `${route.url} needs an operationId`)
      operations.set(operationId, route.route.config ?? {})
    }
    return nameWildcard(jsonSchemaTransform(route))
  }
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Atelier', version: '1', description },
      servers: [{ url: publicUrl }],
      components: {
        securitySchemes,
        headers: rateHeaderComponents,
      },
    },
    transform,
    transformObject: (document) =>
      completeDocument(jsonSchemaTransformObject(document), operations),
  })
  const config = { permission: 'Public' } as const
  app.get('/openapi.json', { config, schema: { hide: true } }, () => app.swagger())
}

const operationShape = z.looseObject({
  operationId: z.string(),
  responses: z.record(z.string(), z.looseObject({})),
})
const documentShape = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), operationShape)),
  components: z.looseObject({ schemas: z.record(z.string(), z.looseObject({})) }),
})
type OpenApiDocument = z.infer<typeof documentShape>
const wildcardShape = z.looseObject({ properties: z.looseObject({ '*': z.unknown() }) })
type Operation = z.infer<typeof operationShape>

/** The generator knows good answers only: problems, answer headers and security are added here. */
function completeDocument(
  document: unknown,
  operations: ReadonlyMap<string, FastifyContextConfig>,
): OpenApiDocument {
  const parsed = documentShape.parse(document)
  const complete = (operation: Operation): Operation => {
    const config = operations.get(operation.operationId)
    assert(config?.permission !== undefined, `${operation.operationId} has a permission`)
    return completeOperation(operation, { ...config, permission: config.permission })
  }
  const paths = mapValues(parsed.paths, (methods) => mapValues(methods, complete))
  return { ...parsed, paths, components: withoutUnused(parsed.components, paths) }
}

/** The generator writes every schema twice, as input and as output: most are never pointed at. */
function withoutUnused(
  components: OpenApiDocument['components'],
  paths: OpenApiDocument['paths'],
): OpenApiDocument['components'] {
  const used = new Set<string>()
  const queue = referencesIn(paths)
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (used.has(name)) continue
    used.add(name)
    queue.push(...referencesIn(components.schemas[name]))
  }
  const schemas = Object.entries(components.schemas).filter(([name]) => used.has(name))
  return { ...components, schemas: Object.fromEntries(schemas) }
}

function referencesIn(part: unknown): string[] {
  const found = JSON.stringify(part).matchAll(/"#\/components\/schemas\/(\w+)"/g)
  return [...found].flatMap(([, name]) => name ?? [])
}

/** OpenAPI cannot say `*`: the rest of an address is called `key` there. */
function nameWildcard(route: ReturnType<SwaggerTransform>): ReturnType<SwaggerTransform> {
  if (!route.url.endsWith('/*') || route.schema.params === undefined) return route
  const { properties } = wildcardShape.parse(route.schema.params)
  const params = { type: 'object', properties: { key: properties['*'] }, required: ['key'] }
  return { url: route.url.replace('*', ':key'), schema: { ...route.schema, params } }
}

type CompleteConfig = FastifyContextConfig & Required<Pick<FastifyContextConfig, 'permission'>>

function completeOperation(operation: Operation, config: CompleteConfig): Operation {
  const { permission, problems = [], answerHeaders = {}, bodyTypes } = config
  const good = mapValues(operation.responses, (response, status) => ({
    ...response,
    headers: { ...mapValues(answerHeaders[status] ?? {}, textHeader), ...rateHeaderReferences },
  }))
  return {
    ...operation,
    ...(bodyTypes && { requestBody: { required: true, content: filesOf(bodyTypes) } }),
    security: permission === 'Public' ? [] : [{ bearer: [] }, { basic: [] }, { cookie: [] }],
    responses: { ...good, ...problemAnswers(problems, permission) },
  }
}

function filesOf(mediaTypes: readonly string[]): object {
  return Object.fromEntries(
    mediaTypes.map((contentMediaType) => [
      contentMediaType,
      { schema: { type: 'string', contentMediaType } },
    ]),
  )
}

function textHeader(text: string): object {
  return { description: text, schema: { type: 'string' } }
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  change: (value: From, key: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))
}
