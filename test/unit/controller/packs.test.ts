import { describe, expect, it } from 'vitest'
import { packUrl } from '../../../src/controller/pack-url.ts'
import { type PackContext, packParts } from '../../../src/controller/packs.ts'
import type { Delivery, ModelSpec } from '../../../src/shared/crd/model.ts'
import { delivery as deliverySchema } from '../../../src/shared/crd/model.ts'
import { aModel, packSettings } from './builders.ts'

const context: PackContext = {
  settings: { inferenceImage: 'atelier.dev/inference:1', packs: packSettings },
  amounts: { cpu: '2', memory: '4Gi' },
}
const [digestA, digestB] = ['a1'.repeat(32), 'b2'.repeat(32)]

type Fetch = NonNullable<Delivery['fetch']>

function fetched(digest: string, more: Partial<Fetch> = {}): ModelSpec {
  const fetch = { url: 'https://models.example/sd15/', ...more }
  return aModel({ digest, delivery: { type: 'Fetch', fetch } }).spec
}

function partsOf(specs: readonly ModelSpec[], over: Partial<PackContext> = {}) {
  const packs = specs.map((spec, index) => ({ name: `model-${index}`, spec }))
  return packParts(packs, { ...context, ...over })
}

const nothing = { volumes: [], mounts: [], variables: [], initContainers: [] }

describe('the packs of a pod', () => {
  it('need nothing when they come with the image', () => {
    const parts = partsOf([aModel().spec])
    expect(parts).toEqual({ folders: ['/models/demo'], ...nothing })
  })

  it('are mounted read-only from a claim and from an image', () => {
    const claim = { type: 'Claim' as const, claim: { name: 'weights', path: 'sd15' } }
    const image = { type: 'Image' as const, image: { reference: 'registry.example/sd15@sha256:1' } }
    const specs = [claim, claim, image].map((delivery) => aModel({ delivery }).spec)
    const parts = partsOf(specs)
    expect(parts.folders).toEqual([
      '/claims/model-0/sd15',
      '/claims/model-1/sd15',
      '/claims/model-2',
    ])
    expect(parts.volumes).toEqual([
      { name: 'model-0', persistentVolumeClaim: { claimName: 'weights', readOnly: true } },
      { name: 'model-1', persistentVolumeClaim: { claimName: 'weights', readOnly: true } },
      { name: 'model-2', image: { reference: 'registry.example/sd15@sha256:1' } },
    ])
    expect(parts.mounts).toEqual(
      [0, 1, 2].map((index) => {
        const name = `model-${index}`
        return { name, mountPath: `/claims/${name}`, readOnly: true }
      }),
    )
    expect(parts.initContainers).toEqual([])
  })

  it('are fetched into a folder of the pod, which only the fetching container may write', () => {
    const parts = partsOf([fetched(digestA)])
    expect(parts.folders).toEqual([`/packs/${digestA}`])
    expect(parts.volumes).toEqual([{ name: 'packs', emptyDir: { sizeLimit: String(2 ** 36) } }])
    expect(parts.mounts).toEqual([{ name: 'packs', mountPath: '/packs', readOnly: true }])
    expect(parts.variables).toEqual([])
    expect(parts.initContainers).toEqual([
      {
        name: 'fetch',
        image: 'atelier.dev/inference:1',
        env: [
          { name: 'ATELIER_FETCH_PACKS', value: '1' },
          {
            name: 'ATELIER_FETCH_HOLDER',
            valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } },
          },
          { name: 'ATELIER_FETCH_S3_REGION', value: 'us-east-1' },
          { name: 'ATELIER_FETCH_ALLOW_HTTP', value: 'false' },
          { name: 'ATELIER_FETCH_URL_0', value: 'https://models.example/sd15' },
          { name: 'ATELIER_FETCH_DIGEST_0', value: digestA },
          { name: 'ATELIER_FETCH_CACHE_0', value: '/packs' },
          { name: 'ATELIER_FETCH_LIMIT_BYTES_0', value: String(2 ** 36) },
        ],
        resources: { requests: context.amounts, limits: context.amounts },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: [{ name: 'packs', mountPath: '/packs' }],
      },
    ])
  })

  it('share a claim as their cache, and write nothing on it but their leases', () => {
    const cache = { claim: 'models' }
    const packs = { ...packSettings, cacheBytes: 2 ** 40 }
    const settings = { ...context.settings, packs }
    const parts = partsOf([fetched(digestA, { cache }), fetched(digestB, { cache })], { settings })
    expect(parts.folders).toEqual([`/caches/0/${digestA}`, `/caches/0/${digestB}`])
    expect(parts.volumes).toEqual([
      { name: 'cache-0', persistentVolumeClaim: { claimName: 'models' } },
    ])
    expect(parts.mounts).toEqual([
      { name: 'cache-0', mountPath: '/caches/0', readOnly: true },
      { name: 'cache-0', mountPath: '/leases/0', subPath: '.leases' },
    ])
    expect(parts.variables.slice(1)).toEqual([
      { name: 'ATELIER_PACK_LEASE_0', value: `/leases/0/${digestA}/$(ATELIER_PACK_HOLDER)` },
      { name: 'ATELIER_PACK_LEASE_1', value: `/leases/0/${digestB}/$(ATELIER_PACK_HOLDER)` },
    ])
    const [init] = parts.initContainers
    expect(init?.volumeMounts).toEqual([{ name: 'cache-0', mountPath: '/caches/0' }])
    expect(init?.env?.filter(({ name }) => name.includes('LIMIT'))).toEqual([
      { name: 'ATELIER_FETCH_LIMIT_BYTES_0', value: String(2 ** 40) },
      { name: 'ATELIER_FETCH_LIMIT_BYTES_1', value: String(2 ** 40) },
    ])
  })

  it('keep one lease of a pack that two Models name', () => {
    const cache = { claim: 'models' }
    const parts = partsOf([fetched(digestA, { cache }), fetched(digestA, { cache })])
    expect(parts.variables).toHaveLength(2)
  })

  it('come in separate caches of separate claims', () => {
    const claims = ['fast', 'slow', 'fast'].map((claim) => fetched(digestA, { cache: { claim } }))
    const parts = partsOf(claims)
    expect(parts.folders).toEqual([0, 1, 0].map((index) => `/caches/${index}/${digestA}`))
    expect(parts.volumes).toHaveLength(2)
  })

  it('show their Secret to the container that fetches, and to no other', () => {
    const secretRef = { name: 'atelier-fetch-models' }
    const parts = partsOf([fetched(digestA, { secretRef }), fetched(digestB)])
    expect(parts.volumes).toContainEqual({
      name: 'fetch-credentials-0',
      secret: { secretName: 'atelier-fetch-models', optional: true, defaultMode: 0o440 },
    })
    expect(parts.mounts.map(({ name }) => name)).toEqual(['packs'])
    const [init] = parts.initContainers
    const mountPath = '/var/run/secrets/atelier.dev-fetch/0'
    expect(init?.volumeMounts).toContainEqual({
      name: 'fetch-credentials-0',
      mountPath,
      readOnly: true,
    })
    expect(init?.env?.filter(({ name }) => name.includes('CREDENTIALS'))).toEqual([
      { name: 'ATELIER_FETCH_CREDENTIALS_0', value: mountPath },
    ])
  })

  it('are never laid out for a Model that is not ready', () => {
    const unserved = fetched(digestA, { url: 's3://bucket/sd15' })
    expect(() => partsOf([unserved])).toThrow('not ready')
    const { digest: _none, ...unpinned } = fetched(digestA)
    expect(() => partsOf([unpinned])).toThrow('not ready')
  })
})

describe('the address of a pack', () => {
  const settings = { ...packSettings, s3Url: 'https://s3.example' }
  it.each([
    ['https://models.example', 'https://models.example'],
    ['https://models.example:8443/a/b//', 'https://models.example:8443/a/b'],
    ['hf://org/name', 'https://huggingface.co/org/name/resolve/main'],
    ['hf://org/name@v1.0', 'https://huggingface.co/org/name/resolve/v1.0'],
    ['hf://org/name@refs/pr/1', 'https://huggingface.co/org/name/resolve/refs%2Fpr%2F1'],
    ['s3://bucket', 'https://s3.example/bucket'],
    ['s3://my.bucket/models/sd15/', 'https://s3.example/my.bucket/models/sd15'],
  ])('%s is %s', (url, address) => {
    expect(deliverySchema.safeParse({ type: 'Fetch', fetch: { url } }).success).toBe(true)
    expect(packUrl(url, settings)).toBe(address)
  })

  it('is unknown for s3 where no endpoint is set up', () => {
    expect(packUrl('s3://bucket/a', packSettings)).toBeUndefined()
  })

  it.each([
    'http://models.example/a',
    'file:///etc/passwd',
    'https://user:password@models.example/a',
    'https://models.example/a?token=secret',
    'https://models.example/a#b',
    'https:///a',
    's3://Bucket/a',
    's3://bucket/a b',
    's3://bucket/a%2Fb',
    'hf://name',
    'hf://org/name@',
    'hf://org/name/file',
    'hf://../name',
  ])('is never %s', (url) => {
    expect(deliverySchema.safeParse({ type: 'Fetch', fetch: { url } }).success).toBe(false)
  })
})
