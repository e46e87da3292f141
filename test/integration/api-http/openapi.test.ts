import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { errorTable } from '../../../src/shared/errors.ts'
import { startApi, type TestApi } from './harness.ts'
import { type Document, operationsOf, readDocument, schemaOf } from './openapi-document.ts'

let api: TestApi
let document: Document
beforeAll(async () => {
  api = await startApi()
  document = readDocument((await api.call({ url: '/openapi.json' })).json())
})
afterAll(async () => {
  await api.close()
})

describe('the OpenAPI document', () => {
  test('is version 3.1 and describes every route that is not a page', () => {
    expect(document.openapi).toMatch(/^3\.1\./)
    const described = operationsOf(document).map(({ method, path }) => `${method} ${path}`)
    const wanted = api.api.routes
      .filter(({ hidden }) => !hidden)
      .map(({ method, url }) => {
        const path = url.replace(/:(\w+)/g, '{$1}').replace('*', '{key}')
        return `${method.toLowerCase()} ${path}`
      })
    expect(described.toSorted()).toEqual(wanted.toSorted())
  })

  test('gives every operation a summary, a tag, a good answer and its problems', () => {
    for (const { operation, path } of operationsOf(document)) {
      expect([path, operation.summary.length > 3, operation.tags.length]).toEqual([path, true, 1])
      const statuses = Object.keys(operation.responses)
      expect([path, statuses.some((status) => status.startsWith('2'))]).toEqual([path, true])
      for (const status of ['400', '500', '503']) expect(statuses).toContain(status)
      for (const { description } of Object.values(operation.responses)) {
        expect([path, description]).not.toEqual([path, 'Default Response'])
      }
    }
  })

  test('demands a token, key or cookie exactly where the app does', () => {
    const open = operationsOf(document).filter(({ operation }) => operation.security.length === 0)
    const publicRoutes = api.api.routes.filter(
      ({ permission, hidden }) => permission === 'Public' && !hidden,
    )
    const addresses = publicRoutes.map(({ url }) => url.replace('*', '{key}'))
    expect(new Set(open.map(({ path }) => path))).toEqual(new Set(addresses))
    const closed = operationsOf(document).filter(({ operation }) => operation.security.length > 0)
    for (const { operation } of closed) {
      expect(operation.security).toEqual([{ bearer: [] }, { basic: [] }, { cookie: [] }])
      expect(operation.responses).toHaveProperty('401')
    }
    expect(Object.keys(document.components.securitySchemes)).toEqual(['bearer', 'basic', 'cookie'])
  })

  test('has an operation id only once', () => {
    const ids = operationsOf(document).map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('points only to schemas that are there, and has no others', () => {
    const pointed = JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)
    const names = new Set([...pointed].flatMap(([, name]) => name ?? []))
    expect([...names].toSorted()).toEqual(Object.keys(document.components.schemas).toSorted())
  })

  test('says 4xx and 5xx as problem documents with an example for each code', () => {
    const seen = new Set<string>()
    for (const { operation } of operationsOf(document)) {
      for (const [status, { content }] of Object.entries(operation.responses)) {
        if (Number(status) < 400) continue
        const examples = Object.values(content?.['application/problem+json']?.examples ?? {})
        expect(examples.length).toBeGreaterThan(0)
        for (const { value } of examples) {
          const { status: inside, code } = problemShape.parse(value)
          expect(inside).toBe(Number(status))
          expect(Object.keys(errorTable)).toContain(code)
          seen.add(code)
        }
      }
    }
    expect(seen.size).toBeGreaterThan(15)
  })

  test('has examples that fit their own schemas', () => {
    const problem = schemaOf(document, { $ref: '#/components/schemas/Problem' })
    let count = 0
    for (const { operation } of operationsOf(document)) {
      for (const { content } of Object.values(operation.responses)) {
        for (const { value } of Object.values(
          content?.['application/problem+json']?.examples ?? {},
        )) {
          problem.parse(value)
          count += 1
        }
      }
    }
    const examples = [...examplesIn(document)]
    for (const { schema, example } of examples) schemaOf(document, schema).parse(example)
    expect(count).toBeGreaterThan(30)
    expect(examples.length).toBeGreaterThanOrEqual(4)
  })
})

const problemShape = z.looseObject({ status: z.int(), code: z.string() })

type Example = { readonly schema: Record<string, unknown>; readonly example: unknown }

/** Every schema with `examples`, or media type with `example`, wherever it stands. */
function* examplesIn(part: unknown): Generator<Example> {
  if (typeof part !== 'object' || part === null) return
  const record = z.looseObject({}).safeParse(part).data ?? {}
  if (Array.isArray(record['examples'])) {
    const { examples, ...schema } = record
    for (const example of examples) yield { schema, example }
  }
  const media = mediaShape.safeParse(part)
  if (media.success) yield { schema: media.data.schema, example: media.data.example }
  for (const value of Object.values(part)) yield* examplesIn(value)
}

const mediaShape = z.object({ schema: z.looseObject({}), example: z.looseObject({}) })

describe('the reference at /docs', () => {
  test('loads its script from here and nothing from elsewhere', async () => {
    const redirect = await api.call({ url: '/docs' })
    expect(redirect.headers.location).toBe('/docs/')
    const page = await api.call({ url: '/docs/' })
    const sources = [...page.body.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, source]) => source)
    expect(sources).toEqual(['js/scalar.js'])
    expect(page.body).not.toMatch(/https?:\/\//)
    const policy = String(page.headers['content-security-policy'])
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("connect-src 'self'")
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe-inline/)
    const script = await api.call({ url: '/docs/js/scalar.js' })
    expect(script.statusCode).toBe(200)
    expect(script.headers['content-type']).toContain('javascript')
    expect(script.body.length).toBeGreaterThan(1_000_000)
  })

  test.each(['%%%', 'a b', '[', 'x:99999999'])('refuses the odd Host %j', async (host) => {
    for (const url of ['/docs', '/docs/']) {
      const response = await api.call({ url, headers: { host } })
      expect(response.statusCode).toBeLessThan(500)
    }
  })
})
