import { describe, expect, it } from 'vitest'
import { signS3Get } from '../../../../src/inference/fetch/sigv4.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, GET Object. */
const example = {
  url: new URL('https://examplebucket.s3.amazonaws.com/test.txt'),
  headers: { range: 'bytes=0-9' },
  credentials: {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  },
  region: 'us-east-1',
  nowMs: Date.parse('2013-05-24T00:00:00.000Z'),
}

describe('a signed GET', () => {
  it('is that of the documentation', () => {
    expect(signS3Get(example)).toEqual({
      range: 'bytes=0-9',
      'x-amz-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      'x-amz-date': '20130524T000000Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,' +
        'SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,' +
        'Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    })
  })

  it('includes the token of a session, and the port of another endpoint', () => {
    const credentials = { ...example.credentials, sessionToken: 'session' }
    const signed = signS3Get({ ...example, credentials })
    expect(signed).toMatchObject({ 'x-amz-security-token': 'session' })
    expect(signed['authorization']).toContain('x-amz-date;x-amz-security-token')
    const port = signS3Get({ ...example, url: new URL('https://s3.example:9000/b/test.txt') })
    expect(port['authorization']).not.toBe(signS3Get(example)['authorization'])
  })

  it('is never made of an address with a query', () => {
    const url = new URL('https://s3.example/a?versionId=1')
    expect(() => signS3Get({ ...example, url })).toThrow('no query')
  })
})
