import { describe, expect, it } from 'vitest'
import { readControllerConfig } from '../../../../src/platform/config/controller.ts'
import { readFetchConfig, readPackLeases } from '../../../../src/platform/config/fetch.ts'

const digest = 'a1'.repeat(32)
const one = {
  ATELIER_FETCH_PACKS: '1',
  ATELIER_FETCH_HOLDER: '7a4a2f63-4d3f-4a3c-9c43-6f3a5d1f9a10',
  ATELIER_FETCH_URL_0: 'https://models.example/a/',
  ATELIER_FETCH_DIGEST_0: digest,
  ATELIER_FETCH_CACHE_0: '/packs',
}

describe('the variables of the fetching container', () => {
  it('name each pack', () => {
    const two = {
      ...one,
      ATELIER_FETCH_PACKS: '2',
      ATELIER_FETCH_URL_1: 'https://models.example/b',
      ATELIER_FETCH_DIGEST_1: digest,
      ATELIER_FETCH_CACHE_1: '/caches/0',
      ATELIER_FETCH_LIMIT_BYTES_1: '1024',
      ATELIER_FETCH_CREDENTIALS_1: '/secret',
    }
    expect(readFetchConfig(two)).toMatchObject({
      packs: [
        { url: 'https://models.example/a', digest, cache: '/packs' },
        { cache: '/caches/0', limitBytes: 1024, credentials: '/secret' },
      ],
      allowHttp: false,
      reporting: undefined,
    })
  })

  it('may name the attempt to report for', () => {
    const job = { ATELIER_JOB_ID: '0'.repeat(26), ATELIER_API_URL: 'http://api.example' }
    expect(readFetchConfig({ ...one, ...job, ATELIER_ATTEMPT: '3' }).reporting).toMatchObject({
      jobId: '0'.repeat(26),
      attempt: 3,
      apiUrl: 'http://api.example',
    })
  })

  it.each([
    ['ATELIER_FETCH_URL_0', ''],
    ['ATELIER_FETCH_URL_0', 'ftp://models.example'],
    ['ATELIER_FETCH_DIGEST_0', 'a1'],
    ['ATELIER_FETCH_CACHE_0', ''],
    ['ATELIER_FETCH_LIMIT_BYTES_0', '0'],
    ['ATELIER_FETCH_HOLDER', '../pod'],
    ['ATELIER_FETCH_PACKS', '65'],
  ])('are refused by name: %s is %j', (name, value) => {
    expect(() => readFetchConfig({ ...one, [name]: value })).toThrow(name)
  })
})

describe('the leases of a pod', () => {
  it('are as many files as there are variables', () => {
    expect(readPackLeases({})).toEqual([])
    const two = { ATELIER_PACK_LEASE_0: '/leases/0/a/b', ATELIER_PACK_LEASE_1: '/leases/0/c/b' }
    expect(readPackLeases(two)).toEqual(['/leases/0/a/b', '/leases/0/c/b'])
  })
})

describe('the controller’s variables for packs', () => {
  const least = {
    ATELIER_API_INTERNAL_URL: 'http://api:8081',
    ATELIER_INTERNAL_TOKEN_FILE: '/token',
    ATELIER_INFERENCE_IMAGE: 'inference:1',
    ATELIER_POD_API_URL: 'http://api:8081',
  }

  it('lead to Hugging Face, to no S3, and never to http', () => {
    expect(readControllerConfig(least).packs).toEqual({
      huggingFaceUrl: 'https://huggingface.co',
      s3Url: undefined,
      s3Region: 'us-east-1',
      cacheBytes: undefined,
      scratchBytes: 64 * 2 ** 30,
      allowHttp: false,
    })
  })

  it.each([
    ['ATELIER_MODEL_HUGGING_FACE_URL', 'huggingface.co'],
    ['ATELIER_MODEL_S3_URL', 's3://bucket'],
    ['ATELIER_MODEL_S3_REGION', 'Somewhere'],
    ['ATELIER_MODEL_CACHE_BYTES', '1000'],
    ['ATELIER_MODEL_SCRATCH_BYTES', '64Gi'],
  ])('are refused by name: %s is %j', (name, value) => {
    expect(() => readControllerConfig({ ...least, [name]: value })).toThrow(name)
  })
})
