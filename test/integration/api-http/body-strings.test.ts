import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problem } from '../../../src/shared/wire/problem.ts'
import { startApi, type TestApi } from './harness.ts'
import { type Document, operationsOf, readDocument } from './openapi-document.ts'
import { type StringField, stringFieldsOf } from './string-fields.ts'

let api: TestApi
let fields: readonly FieldAt[]
beforeAll(async () => {
  api = await startApi()
  fields = fieldsOf(readDocument((await api.call({ url: '/openapi.json' })).json()))
})
afterAll(async () => {
  await api.close()
})

type FieldAt = StringField & { readonly method: string; readonly path: string }

/** Every text in every JSON body that the OpenAPI document knows. */
function fieldsOf(document: Document): readonly FieldAt[] {
  return operationsOf(document).flatMap(({ method, path, operation }) => {
    const schema = operation.requestBody?.content['application/json']?.schema
    if (schema === undefined) return []
    return stringFieldsOf(document, schema).map((field) => ({ ...field, method, path }))
  })
}

/** The fields that are not refused by name with 400, and what happened instead. */
async function accepting(badFor: (field: FieldAt) => unknown): Promise<readonly string[]> {
  const wrong: string[] = []
  for (const field of fields) {
    const response = await send(field, badFor(field))
    const { errors = [] } = problem.partial().parse(response.json())
    const isNamed = errors.some(({ path }) => path === field.pointer)
    const { statusCode } = response
    if (statusCode !== 400 || !isNamed) wrong.push(`${nameOf(field)}: ${statusCode}`)
  }
  return wrong
}

async function send(field: FieldAt, value: unknown) {
  return await api.call({
    method: z.enum(['POST', 'PUT', 'PATCH']).parse(field.method.toUpperCase()),
    url: field.path.replaceAll(/\{\w+\}/g, '01jd6z0c5m8k2v3n4p5q6r7s8t'),
    as: 'root',
    body: field.bodyWith(value),
  })
}

const nameOf = ({ method, path, pointer }: FieldAt): string => `${method} ${path} ${pointer}`

const hostile: readonly (readonly [string, unknown])[] = [
  ['an object that a database would run', { $gt: '' }],
  ['an array', ['a']],
  ['a number', 7],
  ['a boolean', true],
  ['a NUL', 'a\0b'],
  ['a control character', 'a\u0007b'],
  ['a delete character', 'a\u007fb'],
  ['a C1 control character', 'a\u0085b'],
  ['a mark that turns text around', 'a\u202eb'],
  ['half a pair', 'a\ud800b'],
  ['the other half', '\udc00'],
]

describe('a text in a JSON body', () => {
  test('is found in many operations', () => {
    expect(fields.length).toBeGreaterThan(30)
    expect(fields.map(nameOf)).toContain('post /v1/jobs /parameters/negativePrompt')
    expect(fields.map(nameOf)).toContain('post /v1/sessions /password')
  })

  test('has a bound', () => {
    const unbounded = fields.filter(({ lengthMax }) => lengthMax === undefined)
    expect(unbounded.map(nameOf)).toEqual([])
  })

  test.each(hostile)('is never %s', async (_title, bad) => {
    expect(await accepting(() => bad)).toEqual([])
  })

  test('is never longer than its bound', async () => {
    expect(await accepting(({ lengthMax = 0 }) => 'x'.repeat(lengthMax + 1))).toEqual([])
  })
})

describe('a body', () => {
  test('over 256 KiB is 413', async () => {
    const operations = new Map(fields.map((field) => [`${field.method} ${field.path}`, field]))
    for (const field of operations.values()) {
      const { statusCode } = await send(field, 'x'.repeat(256 * 1024))
      expect([nameOf(field), statusCode]).toEqual([nameOf(field), 413])
    }
  })
})
