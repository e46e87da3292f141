import { describe, expect, it } from 'vitest'
import {
  signatureFault,
  type SignedRequest,
  signRequest,
} from '../../../../src/platform/http/request-signature.ts'

const key = Buffer.alloc(32, 7)
const nowMs = 1_800_000_000_000
const toleranceMs = 300_000
const request: SignedRequest = {
  method: 'PUT',
  path: '/v1/jobs/a-b?attempt=1',
  body: '{"attempt":1}',
}
const headers = signRequest(request, key, { nowMs })

function faultOf(
  change: Partial<SignedRequest & { headers: Record<string, unknown> }> = {},
  at: { key?: Uint8Array; nowMs?: number } = {},
) {
  const { key: withKey = key, nowMs: when = nowMs } = at
  return signatureFault({ ...request, headers, ...change }, withKey, { nowMs: when })
}

const [signature, time] = [headers['x-atelier-signature'], headers['x-atelier-time']]

describe('a signed request', () => {
  it('is what was signed', () => {
    expect(faultOf()).toBeUndefined()
    expect(faultOf({ method: 'put' })).toBeUndefined()
    expect(faultOf({ headers: { ...headers, 'user-agent': 'x' } })).toBeUndefined()
  })

  it('may have no body and characters of every script', () => {
    for (const body of ['', '{"prompt":"긁힘 – Kratzer"}']) {
      const own = signRequest({ ...request, body }, key, { nowMs })
      expect(faultOf({ body, headers: own })).toBeUndefined()
    }
  })

  it.each([
    ['method', { method: 'DELETE' }],
    ['path', { path: '/v1/jobs/a-c?attempt=1' }],
    ['query', { path: '/v1/jobs/a-b?attempt=2' }],
    ['body', { body: '{"attempt":2}' }],
    ['missing body', { body: '' }],
    ['path that took over the body', { path: `${request.path}\n`, body: request.body }],
    ['time', { headers: { ...headers, 'x-atelier-time': String(nowMs + 1) } }],
    ['shorter signature', { headers: { ...headers, 'x-atelier-signature': 'v1=00' } }],
    ['version', { headers: { ...headers, 'x-atelier-signature': `v2${signature?.slice(2)}` } }],
    ['time that is no number', { headers: { ...headers, 'x-atelier-time': 'now' } }],
  ])('is wrong with another %s', (_, change) => {
    expect(faultOf(change)).toBe('Wrong')
  })

  it('is wrong with another key', () => {
    expect(faultOf({}, { key: Buffer.alloc(32, 8) })).toBe('Wrong')
    expect(faultOf({}, { key: Buffer.alloc(0) })).toBe('Wrong')
  })

  it.each([
    ['none at all', {}],
    ['no signature', { 'x-atelier-time': time }],
    ['no time', { 'x-atelier-signature': signature }],
    ['a list of signatures', { ...headers, 'x-atelier-signature': [signature, signature] }],
  ])('misses its signature with %s', (_, given) => {
    expect(faultOf({ headers: given })).toBe('Missing')
  })

  it('holds for five minutes before and after, and no longer', () => {
    for (const sign of [-1, 1]) {
      expect(faultOf({}, { nowMs: nowMs + sign * toleranceMs })).toBeUndefined()
      expect(faultOf({}, { nowMs: nowMs + sign * (toleranceMs + 1) })).toBe('Expired')
    }
  })

  it('is expired with a true signature over no time', () => {
    const forever = signRequest(request, key, { nowMs: Number.NaN })
    expect(faultOf({ headers: forever })).toBe('Expired')
  })
})
