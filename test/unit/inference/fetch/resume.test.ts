import { describe, expect, it } from 'vitest'
import { judgeAnswer, resumeHeaders, strongTag } from '../../../../src/inference/fetch/resume.ts'

describe('what a try asks for', () => {
  it.each([
    [{ bytes: 0, etag: undefined }, {}],
    [{ bytes: 0, etag: '"a"' }, {}],
    [
      { bytes: 7, etag: '"a"' },
      { range: 'bytes=7-', 'if-range': '"a"' },
    ],
    [{ bytes: 7, etag: undefined }, { range: 'bytes=7-' }],
    // A weak tag may not stand in If-Range (RFC 9110, 13.1.5).
    [{ bytes: 7, etag: 'W/"a"' }, { range: 'bytes=7-' }],
    [{ bytes: 7, etag: '"a"\r\nx-evil: 1' }, { range: 'bytes=7-' }],
  ])('after %j is %j', (state, headers) => {
    expect(resumeHeaders(state)).toEqual(headers)
  })

  it('keeps strong tags only', () => {
    expect(strongTag('"0-9"')).toBe('"0-9"')
    expect(strongTag('""')).toBe('""')
    for (const tag of [null, undefined, '', 'a', 'W/"a"', '"a', '"a"b"']) {
      expect(strongTag(tag)).toBeUndefined()
    }
  })
})

const nothing = { contentRange: null, contentLength: null, contentEncoding: null }

function judge(status: number, headers: Readonly<Record<string, string>>) {
  return judgeAnswer({ status, ...nothing, ...headers }, { bytes: 40, sizeBytes: 100 })
}

describe('what an answer means to a try with 40 of 100 bytes', () => {
  it.each([
    [206, { contentRange: 'bytes 40-99/100' }, 'Append'],
    [206, { contentRange: 'bytes 40-99/*' }, 'Append'],
    [206, { contentRange: 'bytes 40-59/100' }, 'Append'],
    [206, { contentRange: 'bytes 39-99/100' }, 'Restart'],
    [206, { contentRange: 'bytes 40-100/*' }, 'Restart'],
    [206, { contentRange: 'none' }, 'Restart'],
    [206, {}, 'Restart'],
    [416, {}, 'Restart'],
    [200, { contentLength: '100' }, 'Replace'],
    [200, {}, 'Replace'],
    [200, { contentLength: '100', contentEncoding: 'identity' }, 'Replace'],
    [206, { contentRange: 'bytes 40-99/101' }, 'Refused'],
    [200, { contentLength: '99' }, 'Refused'],
    [200, { contentLength: '101' }, 'Refused'],
    [200, { contentEncoding: 'br' }, 'Refused'],
    [204, {}, 'Refused'],
  ])('%i with %j: %s', (status, headers, kind) => {
    expect(judge(status, { ...headers }).kind).toBe(kind)
  })
})
