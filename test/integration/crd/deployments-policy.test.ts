import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controller } from './fixture.ts'
import type { Json } from './objects.ts'
import { openPoolFixture, pool, type PoolFixture, refusedWith } from './pool-fixture.ts'

/** Which Deployments the controller may make, whatever its role says. */
let fixture: PoolFixture
let owner: Json

beforeAll(async () => {
  fixture = await openPoolFixture()
  owner = fixture.owner
})

afterAll(async () => {
  await fixture.close()
})

const container = { name: 'inference', image: 'atelier.dev/inference:dev' }
const token = { serviceAccountToken: { audience: 'internal.atelier.dev', path: 'token' } }
const safePod = {
  serviceAccountName: 'atelier-job',
  automountServiceAccountToken: false,
  containers: [container],
  resourceClaims: [{ name: 'gpus', resourceClaimTemplateName: `pool-${pool}-0123456789abcdef` }],
  volumes: [
    { name: 'token', projected: { sources: [token] } },
    { name: 'scratch', emptyDir: {} },
    { name: 'key', secret: { secretName: `pool-${pool}-key` } },
    { name: 'model-0', persistentVolumeClaim: { claimName: 'models', readOnly: true } },
    { name: 'model-1', image: { reference: 'registry.example/demo:1' } },
    { name: 'fetch-credentials-0', secret: { secretName: 'atelier-fetch-a' } },
  ],
}

type DeploymentChanges = { readonly pod?: Json; readonly owners?: readonly Json[]; name?: string }

function deployment({ pod = {}, owners = [owner], name = `pool-${pool}` }: DeploymentChanges) {
  const labels = { 'atelier.dev/pool': pool }
  return {
    metadata: { name, ownerReferences: owners },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { ...safePod, ...pod } },
    },
  }
}

function withVolume(volume: Json): Json {
  return deployment({ pod: { volumes: [volume] } })
}

const secretVariable = { name: 'A', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } }
const configVariable = { name: 'A', valueFrom: { configMapKeyRef: { name: 'a', key: 'b' } } }
const withContainer = (changes: Json) =>
  deployment({ pod: { containers: [{ ...container, ...changes }] } })

const refusedDeployments: readonly (readonly [string, () => Json, string])[] = [
  ['that belongs to nobody', () => deployment({ owners: [] }), 'ownerReferences'],
  [
    'that belongs to something foreign',
    () => deployment({ owners: [{ ...owner, apiVersion: 'apps/v1' }] }),
    'ownerReferences',
  ],
  [
    'that belongs to a job',
    () => deployment({ owners: [{ ...owner, kind: 'GenerationJob' }] }),
    'ownerReferences',
  ],
  [
    'that its pool does not control',
    () => deployment({ owners: [{ ...owner, controller: false }] }),
    'ownerReferences',
  ],
  ['of another name', () => deployment({ name: 'web' }), 'ownerReferences'],
  [
    'of another account',
    () => deployment({ pod: { serviceAccountName: 'default' } }),
    'serviceAccountName',
  ],
  [
    'of no account',
    () => deployment({ pod: { serviceAccountName: undefined } }),
    'serviceAccountName',
  ],
  [
    'with a token of the API server',
    () => deployment({ pod: { automountServiceAccountToken: undefined } }),
    'automountServiceAccountToken',
  ],
  [
    'with a folder of the host',
    () => withVolume({ name: 'a', hostPath: { path: '/' } }),
    'volumes',
  ],
  [
    'with the key of another pool',
    () => withVolume({ name: 'key', secret: { secretName: 'pool-other-key' } }),
    'volumes',
  ],
  [
    'with its key under another name',
    () => withVolume({ name: 'a', secret: { secretName: `pool-${pool}-key` } }),
    'volumes',
  ],
  [
    'with a Secret as credentials',
    () => withVolume({ name: 'fetch-credentials-0', secret: { secretName: 'passwords' } }),
    'volumes',
  ],
  [
    'with a projected Secret',
    () => withVolume({ name: 'a', projected: { sources: [{ secret: { name: 'a' } }] } }),
    'volumes',
  ],
  ['with a ConfigMap', () => withVolume({ name: 'inputs', configMap: { name: 'a' } }), 'volumes'],
  [
    'whose main container mounts credentials',
    () => withContainer({ volumeMounts: [{ name: 'fetch-credentials-0', mountPath: '/a' }] }),
    'fetch-credentials',
  ],
  ['with a Secret in the environment', () => withContainer({ env: [secretVariable] }), 'secrets'],
  [
    'with a ConfigMap in the environment',
    () => withContainer({ env: [configVariable] }),
    'secrets',
  ],
  [
    'with a whole Secret in the environment',
    () => withContainer({ envFrom: [{ secretRef: { name: 'a' } }] }),
    'secrets',
  ],
  ['on the network of the host', () => deployment({ pod: { hostNetwork: true } }), 'host'],
  ['among the processes of the host', () => deployment({ pod: { hostPID: true } }), 'host'],
  ['in the memory of the host', () => deployment({ pod: { hostIPC: true } }), 'host'],
  [
    'on a port of the host',
    () => withContainer({ ports: [{ containerPort: 8080, hostPort: 8080 }] }),
    'host',
  ],
  ['with privileges', () => withContainer({ securityContext: { privileged: true } }), 'privileged'],
  [
    'with privileges of an init container',
    () => {
      const first = { ...container, name: 'first', securityContext: { privileged: true } }
      return deployment({ pod: { initContainers: [first] } })
    },
    'privileged',
  ],
  [
    'with the claim of somebody else',
    () => deployment({ pod: { resourceClaims: [{ name: 'a', resourceClaimName: 'a' }] } }),
    'resourceClaims',
  ],
  [
    'with the claim template of somebody else',
    () => deployment({ pod: { resourceClaims: [{ name: 'a', resourceClaimTemplateName: 'a' }] } }),
    'resourceClaims',
  ],
]

describe('Deployments: the controller', () => {
  it('creates that of a pool', async () => {
    expect(await fixture.tryCreate('deployments', deployment({}), controller)).toMatchObject({
      accepted: true,
    })
  })

  it.each(refusedDeployments)('creates none %s', async (_what, body, field) => {
    expect(await fixture.tryCreate('deployments', body(), controller)).toMatchObject(
      refusedWith(field),
    )
  })

  it.each(refusedDeployments)('leaves others to create one %s', async (_what, body) => {
    const verdict = await fixture.tryCreate('deployments', body())
    expect(verdict).not.toMatchObject({ message: expect.stringContaining('atelier.dev') })
  })

  it('scales its own, and gives it no Secret', async () => {
    const name = `pool-${pool}`
    await fixture.store('deployments', {
      ...deployment({}),
      spec: { ...deployment({}).spec, replicas: 0 },
    })
    expect(await fixture.patch('deployments', name, { spec: { replicas: 2 } })).toMatchObject({
      accepted: true,
    })
    const volumes = [{ name: 'a', secret: { secretName: 'a' } }]
    const template = { spec: { volumes } }
    expect(await fixture.patch('deployments', name, { spec: { template } })).toMatchObject(
      refusedWith('volumes'),
    )
    expect(
      await fixture.patch('deployments', name, { metadata: { ownerReferences: [] } }),
    ).toMatchObject(refusedWith('ownerReferences'))
  })

  it('takes over none that somebody else has made', async () => {
    const name = 'pool-foreign'
    await fixture.store('deployments', {
      ...deployment({ owners: [], name, pod: { volumes: [], resourceClaims: [] } }),
    })
    expect(await fixture.patch('deployments', name, { spec: { replicas: 2 } })).toMatchObject(
      refusedWith('ownerReferences'),
    )
    const ownerReferences = [{ ...owner, name: 'foreign' }]
    expect(
      await fixture.patch('deployments', name, { metadata: { ownerReferences } }),
    ).toMatchObject(refusedWith('ownerReferences'))
  })
})
