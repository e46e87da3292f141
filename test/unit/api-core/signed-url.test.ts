import { describe, expect, it } from 'vitest'
import {
  type Grant,
  type SignedRequest,
  signUrl,
  verifySignedUrl,
} from '../../../src/platform/objects/signed-url.ts'

const secret = new Uint8Array(32).fill(7)
const clock = { nowMs: () => 1000 }
const grant: Grant = {
  method: 'PUT',
  key: 'artifacts/a b/é.png',
  expiresMs: 2000,
  sha256: 'f'.repeat(64),
  sizeBytes: 10,
  contentType: 'image/png',
}

function requestOf(url: string, method = 'PUT') {
  const { pathname, searchParams } = new URL(url)
  const key = decodeURIComponent(pathname).replace('/objects/', '')
  return { method, key, query: Object.fromEntries(searchParams) }
}

describe('a signed link', () => {
  const { url } = signUrl('http://store.test/objects', grant, secret)

  it('gives back exactly what was granted', () => {
    expect(verifySignedUrl(requestOf(url), { secret, clock })).toEqual(grant)
  })

  const changed: readonly (readonly [string, SignedRequest])[] = [
    ['method', { ...requestOf(url), method: 'GET' }],
    ['key', { ...requestOf(url), key: 'artifacts/a b/other.png' }],
    ...(['expires', 'sha256', 'size', 'type', 'signature'] as const).map((name) => {
      const request = requestOf(url)
      const query = { ...request.query, [name]: `${request.query[name]}1` }
      return [name, { ...request, query }] as const
    }),
    ...(['expires', 'sha256', 'size', 'type', 'signature'] as const).map((name) => {
      const { [name]: _gone, ...query } = requestOf(url).query
      return [`missing ${name}`, { ...requestOf(url), query }] as const
    }),
  ]

  it.each(changed)('with a changed %s is refused', (_name, request) => {
    expect(() => verifySignedUrl(request, { secret, clock })).toThrow(
      expect.objectContaining({ code: 'object.url_invalid' }),
    )
  })

  it('is refused from its expiry on and with another secret', () => {
    const late = { nowMs: () => grant.expiresMs }
    expect(() => verifySignedUrl(requestOf(url), { secret, clock: late })).toThrow('expired')
    const other = new Uint8Array(32)
    expect(() => verifySignedUrl(requestOf(url), { secret: other, clock })).toThrow('expired')
  })

  it('for reading names no bytes', () => {
    const read = signUrl('http://s/objects', { method: 'GET', key: 'k', expiresMs: 2000 }, secret)
    const { searchParams } = new URL(read.url)
    expect([...searchParams.keys()]).toEqual(['expires', 'signature'])
  })
})
