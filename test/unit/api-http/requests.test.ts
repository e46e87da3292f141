import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { objectHeaders } from '../../../src/api/features/artifacts/object-headers.ts'
import { readWaitSeconds } from '../../../src/api/features/jobs/prefer.ts'
import { pageOf } from '../../../src/api/pages.ts'
import { toAppError, toProblem } from '../../../src/api/plugins/problem.ts'
import { compileValidator } from '../../../src/api/plugins/validation.ts'
import { AppError, type ErrorCode, errorTable } from '../../../src/shared/errors.ts'
import { problem } from '../../../src/shared/wire/problem.ts'

describe('a refused field', () => {
  const schema = z.strictObject({
    parameters: z.strictObject({ width: z.int().max(8), 'a/b~c': z.string().optional() }),
    list: z.array(z.strictObject({ role: z.string() })).optional(),
  })
  const check = (part: string, value: unknown) => {
    const validate = compileValidator({ schema, method: 'POST', url: '/', httpPart: part })
    const result: unknown = validate(value)
    return z.object({ error: z.instanceof(AppError) }).parse(result).error
  }
  const pathsOf = (part: string, value: unknown) =>
    check(part, value).fields.map(({ path }) => path)

  test.each([
    ['a number that is too large', { parameters: { width: 9 } }, ['/parameters/width']],
    ['a missing object', {}, ['/parameters']],
    ['an unknown field', { parameters: { width: 1, widht: 2 } }, ['/parameters/widht']],
    ['a list item', { parameters: { width: 1 }, list: [{ role: {} }] }, ['/list/0/role']],
    [
      'a name with slash and tilde',
      { parameters: { width: 1, 'a/b~c': 1 } },
      ['/parameters/a~1b~0c'],
    ],
    ['the whole body', null, ['']],
  ])('is named by JSON pointer: %s', (_name, body, paths) => {
    expect(pathsOf('body', body)).toEqual(paths)
  })

  test('of the query is named by its parameter', () => {
    expect(pathsOf('querystring', { parameters: { width: 1 }, bogus: '1' })).toEqual(['bogus'])
  })

  test('is cut and well formed, however long and odd its name is', () => {
    const [path] = pathsOf('body', { parameters: { width: 1 }, [`\ud800${'x'.repeat(500)}`]: 1 })
    expect(path?.isWellFormed()).toBe(true)
    expect(path?.length).toBeLessThanOrEqual(65)
  })

  test('among a thousand is one of at most 32', () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`k${index}`, 1]))
    expect(pathsOf('body', many)).toHaveLength(32)
  })
})

const isCode = (key: string): key is ErrorCode => key in errorTable

describe('a failure', () => {
  const codes = Object.keys(errorTable).filter(isCode)

  test.each(codes)('%s becomes a problem document with its status', (code) => {
    const error = new AppError(code, 'because', { details: { missing: '1.5' } })
    const document = problem.parse(toProblem(error, 'request-1'))
    expect(document).toMatchObject({
      code,
      detail: 'because',
      instance: 'request-1',
      missing: '1.5',
    })
    expect(document.status).toBe(errorTable[code].status)
  })

  test('cannot have its code or status replaced by a detail', () => {
    const error = new AppError('job.ended', 'x', { details: { status: 200, code: 'ok' } })
    expect(toProblem(error, 'r')).toMatchObject({ status: 409, code: 'job.ended' })
  })

  test.each([
    [Object.assign(new Error('x'), { statusCode: 400 }), 'request.invalid'],
    [Object.assign(new Error('x'), { statusCode: 414 }), 'request.invalid'],
    [Object.assign(new Error('x'), { code: 'FST_ERR_CTP_BODY_TOO_LARGE' }), 'request.too_large'],
    [
      Object.assign(new Error('x'), { code: 'FST_ERR_HANDLER_TIMEOUT', statusCode: 503 }),
      'platform.unavailable',
    ],
    [new Error('a secret detail'), 'platform.internal'],
    ['a string', 'platform.internal'],
    [undefined, 'platform.internal'],
  ])('%s is known as %s', (thrown, code) => {
    const error = toAppError(thrown)
    expect(error.code).toBe(code)
    expect(error.message).not.toContain('secret')
  })
})

describe('a page', () => {
  const items = ['d', 'a', 'c', 'b', 'e']
  const walk = (limit: number): string[][] => {
    const pages: string[][] = []
    let cursor: string | undefined
    do {
      const page = pageOf(items, { limit, cursor }, (item) => item)
      pages.push([...page.items])
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    return pages
  }

  test('follows the one before without a gap or a repetition, whatever its size', () => {
    expect(walk(2)).toEqual([['a', 'b'], ['c', 'd'], ['e']])
    expect(walk(5)).toEqual([['a', 'b', 'c', 'd', 'e']])
    expect(walk(1)).toHaveLength(5)
  })

  test('goes on behind an item that was removed meanwhile', () => {
    const { next } = pageOf(items, { limit: 2, cursor: undefined }, (item) => item)
    const rest = pageOf(['c', 'd'], { limit: 2, cursor: next ?? '' }, (item) => item)
    expect(rest.items).toEqual(['c', 'd'])
  })

  test('of an unknown cursor is refused and names the cursor', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'abcXYZ09_-'.split('')), minLength: 1 }),
        (cursor) => {
          const isOurs = Buffer.from(cursor, 'base64url').toString().startsWith('>')
          fc.pre(!isOurs)
          const open = () => pageOf(items, { limit: 2, cursor }, (item) => item)
          expect(open).toThrow(
            expect.objectContaining({
              code: 'request.invalid',
              fields: [expect.objectContaining({ path: 'cursor' })],
            }),
          )
        },
      ),
    )
  })
})

describe('Prefer: wait', () => {
  test.each([
    [undefined, 0],
    ['', 0],
    ['wait=5', 5],
    ['respond-async, wait=10', 10],
    ['Wait="7"; x=1', 7],
    ['wait=100000', 60],
    ['wait=-1', 0],
    ['wait=1e3', 0],
    ['await=5', 0],
    ['wait=99999999999', 0],
  ])('%j waits %i seconds', (header, seconds) => {
    expect(readWaitSeconds(header)).toBe(seconds)
  })
})

describe('an object is served', () => {
  const object = {
    key: 'artifacts/j/1/0-0.png',
    sha256: 'ab',
    sizeBytes: 3,
    contentType: 'image/png',
  }

  test('as the picture it is', () => {
    expect(objectHeaders(object)).toMatchObject({
      'content-type': 'image/png',
      'content-length': 3,
      'content-disposition': 'inline; filename="0-0.png"',
      etag: '"ab"',
    })
  })

  test.each(['text/html', 'image/svg+xml', 'application/javascript', 'image/png; x', ''])(
    'as plain bytes to save when it claims to be %j',
    (contentType) => {
      expect(objectHeaders({ ...object, contentType })).toMatchObject({
        'content-type': 'application/octet-stream',
        'content-disposition': 'attachment; filename="0-0.png"',
      })
    },
  )

  test('under a name that cannot break out of its header', () => {
    const odd = objectHeaders({ ...object, key: 'a/b"\r\nx: y;ü.png' })
    expect(odd['content-disposition']).toBe('inline; filename="b___x__y__.png"')
  })
})
