import { randomBytes } from 'node:crypto'
import { assert } from '../../../src/shared/assert.ts'
import {
  apiGroupVersion,
  labels,
  serviceAccounts,
  systemNamespace,
} from '../../../src/shared/names.ts'
import { testEnvironment } from '../../support/environment.ts'
import { type Answer, openApiServer, type Impersonation, verdictOf } from './api-server.ts'
import { department, type Manifest } from './objects.ts'
import { valueAt } from './places.ts'

function serviceAccount(name: string): Impersonation {
  return {
    user: `system:serviceaccount:${systemNamespace}:${name}`,
    groups: [
      'system:serviceaccounts',
      `system:serviceaccounts:${systemNamespace}`,
      'system:authenticated',
    ],
  }
}

export const api = serviceAccount(serviceAccounts.api)
export const controller = serviceAccount(serviceAccounts.controller)

export const plurals: Readonly<Record<string, string>> = {
  GenerationJob: 'generationjobs',
  Model: 'models',
  Department: 'departments',
  ModelPool: 'modelpools',
}

const namespaced: readonly string[] = ['GenerationJob', 'ModelPool']

export function randomName(): string {
  return `crd-${randomBytes(5).toString('hex')}`
}

export const resourceVersionOf = ({ body }: Answer) =>
  valueAt(body, ['metadata', 'resourceVersion'])

/** An API server with a namespace of the test's own that belongs to the department `vision`. */
export type Fixture = Awaited<ReturnType<typeof openFixture>>

export async function openFixture() {
  const server = openApiServer(testEnvironment().kubeconfigPath)
  const namespace = await createNamespace(server, { [labels.department]: department })
  const collection = (kind: string, groupVersion = apiGroupVersion) => {
    const plural = plurals[kind]
    assert(plural, `${kind} is ours`)
    const place = namespaced.includes(kind) ? `namespaces/${namespace}/` : ''
    return `/apis/${groupVersion}/${place}${plural}`
  }
  /** Creates as the api, which alone may set every field of a job; other kinds as the admin. */
  const create = async (object: Manifest, dryRun: boolean) =>
    server.call({
      method: 'POST',
      path: collection(object.kind, object.apiVersion),
      query: { fieldValidation: 'Strict', ...(dryRun ? { dryRun: 'All' } : {}) },
      body: object,
      ...(object.kind === 'GenerationJob' && object.apiVersion === apiGroupVersion
        ? { as: api }
        : {}),
    })
  return {
    server,
    namespace,
    collection,
    /** What the API server would say to a new object; nothing is stored. */
    judge: async (object: Manifest) => verdictOf(await create(object, true)),
    create: async (object: Manifest) => {
      const answer = await create(object, false)
      assert(answer.status === 201, `created: ${JSON.stringify(answer.body)}`)
      return answer
    },
    close: async () => {
      await server.call({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}` })
      await server.close()
    },
  }
}

export async function createNamespace(
  server: ReturnType<typeof openApiServer>,
  namespaceLabels: Readonly<Record<string, string>>,
): Promise<string> {
  const name = randomName()
  const metadata = { name, labels: namespaceLabels }
  const answer = await server.call({
    method: 'POST',
    path: '/api/v1/namespaces',
    body: { apiVersion: 'v1', kind: 'Namespace', metadata },
  })
  assert(answer.status === 201, `the namespace was created: ${JSON.stringify(answer.body)}`)
  return name
}
