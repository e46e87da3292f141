import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verdictOf, type Verdict } from './api-server.ts'
import { controller, type Fixture, openFixture } from './fixture.ts'
import { type Json, jobOf as generationJob } from './objects.ts'
import { valueAt } from './places.ts'

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture()
})

afterAll(async () => {
  await fixture.close()
})

const owner = {
  apiVersion: 'atelier.dev/v1alpha1',
  kind: 'GenerationJob',
  name: 'example',
  uid: '7a4a2f63-4d3f-4a3c-9c43-6f3a5d1f9a10',
  controller: true,
}

const second = { key: 'b.png', path: '1' }

function mounted(changes: Json = {}): Json {
  const items = [{ key: 'a.png', path: '0' }]
  return { configMap: { name: 'a', optional: true, items, ...changes } }
}

const token = { serviceAccountToken: { audience: 'internal.atelier.dev', path: 'token' } }
const container = { name: 'inference', image: 'atelier.dev/inference:dev' }
function fetchSecret(changes: Json = {}): Json {
  const secret = { secretName: 'atelier-fetch-models', optional: true }
  return { name: 'fetch-credentials-0', secret, ...changes }
}

const secretMount = { name: 'fetch-credentials-0', mountPath: '/secret' }

const safePod = {
  restartPolicy: 'Never',
  serviceAccountName: 'atelier-job',
  automountServiceAccountToken: false,
  containers: [{ ...container, env: [{ name: 'A', value: 'b' }] }],
  volumes: [
    { name: 'token', projected: { sources: [token] } },
    { name: 'scratch', emptyDir: {} },
    { name: 'model', persistentVolumeClaim: { claimName: 'models', readOnly: true } },
    { name: 'inputs', projected: { sources: [mounted(), mounted({ items: [second] })] } },
  ],
}

function jobOf(pod: Json, ownerReferences: readonly Json[] = [owner]): Json {
  return {
    metadata: { name: `gj-${owner.uid}-a1`, ownerReferences },
    spec: { template: { spec: { ...safePod, ...pod } } },
  }
}

const twoKeys = [{ key: 'a.png', path: '0' }, second]

function jobWith(sources: readonly Json[], name = 'inputs'): Json {
  return jobOf({ volumes: [{ name, projected: { sources } }] })
}

async function create(job: Json, as?: typeof controller): Promise<Verdict> {
  const answer = await fixture.server.call({
    method: 'POST',
    path: `/apis/batch/v1/namespaces/${fixture.namespace}/jobs`,
    query: { dryRun: 'All' },
    body: job,
    ...(as && { as }),
  })
  return verdictOf(answer)
}

const secretVariable = { name: 'A', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } }
const configVariable = { name: 'A', valueFrom: { configMapKeyRef: { name: 'a', key: 'b' } } }
const onHostPort = { ...container, ports: [{ containerPort: 8080, hostPort: 8080 }] }
const privileged = { ...container, name: 'first', securityContext: { privileged: true } }

const refused: readonly [string, Json, string][] = [
  ['that belongs to nobody', jobOf({}, []), 'metadata.ownerReferences'],
  [
    'that belongs to something foreign',
    jobOf({}, [{ ...owner, apiVersion: 'apps/v1' }]),
    'metadata.ownerReferences',
  ],
  [
    'that an Atelier resource does not control',
    jobOf({}, [{ ...owner, controller: false }]),
    'metadata.ownerReferences',
  ],
  [
    'that belongs to a ModelPool',
    jobOf({}, [{ ...owner, kind: 'ModelPool' }]),
    'metadata.ownerReferences',
  ],
  [
    'with the name of another one’s',
    jobOf({}, [{ ...owner, uid: '7a4a2f63-4d3f-4a3c-9c43-6f3a5d1f9a11' }]),
    'metadata.ownerReferences',
  ],
  ['of another account', jobOf({ serviceAccountName: 'default' }), 'serviceAccountName'],
  ['of no account', jobOf({ serviceAccountName: undefined }), 'serviceAccountName'],
  [
    'with a mounted token of the API server',
    jobOf({ automountServiceAccountToken: undefined }),
    'automountServiceAccountToken',
  ],
  [
    'with a folder of the host',
    jobOf({ volumes: [{ name: 'host', hostPath: { path: '/' } }] }),
    'volumes',
  ],
  ['with a secret', jobOf({ volumes: [{ name: 'a', secret: { secretName: 'a' } }] }), 'volumes'],
  [
    'with any secret as credentials for fetching',
    jobOf({ volumes: [fetchSecret({ secret: { secretName: 'a-atelier-fetch-b' } })] }),
    'volumes',
  ],
  [
    'with credentials for fetching under another name',
    jobOf({ volumes: [fetchSecret({ name: 'credentials' })] }),
    'volumes',
  ],
  [
    'that shows its credentials for fetching to the container that makes pictures',
    jobOf({
      volumes: [fetchSecret()],
      containers: [{ ...container, volumeMounts: [secretMount] }],
    }),
    'must not mount fetch-credentials',
  ],
  [
    'with a projected secret',
    jobOf({ volumes: [{ name: 'a', projected: { sources: [{ secret: { name: 'a' } }] } }] }),
    'volumes',
  ],
  [
    'with a ConfigMap',
    jobOf({ volumes: [{ name: 'inputs', configMap: { name: 'a' } }] }),
    'volumes',
  ],
  ['with a ConfigMap among tokens', jobWith([mounted()], 'token'), 'volumes'],
  ['with a whole ConfigMap', jobWith([mounted({ items: undefined })]), 'volumes'],
  ['with several keys of a ConfigMap', jobWith([mounted({ items: twoKeys })]), 'volumes'],
  ['that waits for a ConfigMap', jobWith([mounted({ optional: undefined })]), 'volumes'],
  ['with a token among its inputs', jobWith([mounted(), token]), 'volumes'],
  [
    'with a secret in the environment',
    jobOf({ containers: [{ ...container, env: [secretVariable] }] }),
    'secrets',
  ],
  [
    'with a ConfigMap in the environment',
    jobOf({ containers: [{ ...container, env: [configVariable] }] }),
    'secrets',
  ],
  [
    'with a whole secret in the environment',
    jobOf({
      initContainers: [{ ...container, name: 'a', envFrom: [{ secretRef: { name: 'a' } }] }],
    }),
    'secrets',
  ],
  ['on the network of the host', jobOf({ hostNetwork: true }), 'host'],
  ['among the processes of the host', jobOf({ hostPID: true }), 'host'],
  ['in the memory of the host', jobOf({ hostIPC: true }), 'host'],
  ['on a port of the host', jobOf({ containers: [onHostPort] }), 'host'],
  ['with privileges', jobOf({ initContainers: [privileged] }), 'privileged'],
  [
    'with the devices of a claim',
    jobOf({ resourceClaims: [{ name: 'a', resourceClaimName: 'a' }] }),
    'resourceClaims',
  ],
]

describe('the controller', () => {
  it('creates the Job of a GenerationJob', async () => {
    expect(await create(jobOf({}), controller)).toMatchObject({ accepted: true })
  })

  it('creates a Job that fetches its model with credentials', async () => {
    const fetching = { ...container, name: 'fetch', volumeMounts: [secretMount] }
    const volumes = [...safePod.volumes, fetchSecret()]
    const job = jobOf({ initContainers: [fetching], volumes })
    expect(await create(job, controller)).toMatchObject({ accepted: true })
  })

  it.each(refused)('creates no Job %s', async (_what, job, field) => {
    expect(await create(job, controller)).toMatchObject({
      accepted: false,
      status: 403,
      message: expect.stringContaining(field),
    })
  })

  it('deletes its own Jobs and no others', async () => {
    const path = `/apis/batch/v1/namespaces/${fixture.namespace}/jobs`
    // A Job whose owner is not there would be collected as garbage in the meantime.
    const { body: parent } = await fixture.create(generationJob('TextToImage'))
    const [uid, parentName] = ['uid', 'name'].map((field) => valueAt(parent, ['metadata', field]))
    for (const [name, ownerReferences, status] of [
      [`gj-${String(uid)}-a1`, [{ ...owner, uid, name: parentName }], 200],
      ['named-otherwise', [{ ...owner, uid, name: parentName }], 403],
      ['foreign', [], 403],
    ] as const) {
      const body = { ...jobOf({}), metadata: { name, ownerReferences } }
      expect((await fixture.server.call({ method: 'POST', path, body })).status).toBe(201)
      const answer = await fixture.server.call({
        method: 'DELETE',
        path: `${path}/${name}`,
        query: { dryRun: 'All' },
        as: controller,
      })
      expect(answer.status).toBe(status)
    }
  })

  it.each([
    ['atelier-job', 201],
    ['other', 403],
  ])('asks for the service account %s and is answered %i', async (name, status) => {
    const answer = await fixture.server.call({
      method: 'POST',
      path: `/api/v1/namespaces/${fixture.namespace}/serviceaccounts`,
      query: { dryRun: 'All' },
      body: { metadata: { name } },
      as: controller,
    })
    expect(answer.status).toBe(status)
  })
})

describe('everybody else', () => {
  it.each(refused)('creates a Job %s as before', async (_what, job) => {
    const verdict = await create(job)
    expect(verdict).not.toMatchObject({ message: expect.stringContaining('atelier.dev') })
  })
})
