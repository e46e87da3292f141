import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { assert } from '../../../src/shared/assert.ts'
import {
  controllerLease,
  jobsNamespace,
  serviceAccounts,
  systemNamespace,
} from '../../../src/shared/names.ts'
import { testEnvironment } from '../../support/environment.ts'
import { type ApiServer, type Impersonation, openApiServer } from './api-server.ts'
import { api, controller } from './fixture.ts'

const jobPod: Impersonation = {
  user: `system:serviceaccount:${jobsNamespace}:${serviceAccounts.job}`,
  groups: [
    'system:serviceaccounts',
    `system:serviceaccounts:${jobsNamespace}`,
    'system:authenticated',
  ],
}

let server: ApiServer
let universe: readonly string[]

beforeAll(async () => {
  server = openApiServer(testEnvironment().kubeconfigPath)
  universe = await everyAction()
})

afterAll(async () => {
  await server.close()
})

const groupList = z.object({
  groups: z.array(z.object({ versions: z.array(z.object({ groupVersion: z.string() })) })),
})
const resourceList = z.object({
  resources: z.array(
    z.object({ name: z.string(), group: z.string().optional(), verbs: z.array(z.string()) }),
  ),
})

/** `verb resource[/subresource].group` for all that this API server serves, and the dangerous verbs. */
async function everyAction(): Promise<string[]> {
  const { groups } = groupList.parse((await server.call({ method: 'GET', path: '/apis' })).body)
  const versions = groups.flatMap((group) => group.versions.map(({ groupVersion }) => groupVersion))
  const ours = versions.filter((version) => !version.includes('mutants'))
  const lists = await Promise.all(
    [
      ['/api/v1', ''],
      ...ours.map((version) => [`/apis/${version}`, `.${version.split('/')[0]}`]),
    ].map(async ([path = '', group = '']) =>
      resourceList
        .parse((await server.call({ method: 'GET', path })).body)
        .resources.flatMap(({ name, verbs }) => verbs.map((verb) => `${verb} ${name}${group}`)),
    ),
  )
  return [...new Set([...lists.flat(), ...dangerous])].toSorted()
}

/** Of Kueue, which this cluster need not serve. */
const workloads = actions(
  'get list watch create update patch delete',
  'workloads.kueue.x-k8s.io',
  'workloads/status.kueue.x-k8s.io',
)

const dangerous = [
  ...workloads,
  'escalate clusterroles.rbac.authorization.k8s.io',
  'bind clusterroles.rbac.authorization.k8s.io',
  'escalate roles.rbac.authorization.k8s.io',
  'bind roles.rbac.authorization.k8s.io',
  'impersonate users',
  'impersonate groups',
  'impersonate serviceaccounts',
  'approve signers.certificates.k8s.io',
]

const review = z.object({ status: z.object({ allowed: z.boolean() }) })

type Place = { readonly namespace: string; readonly name?: string }

async function isAllowed(
  who: Impersonation,
  action: string,
  { namespace, name = 'some-name' }: Place,
): Promise<boolean> {
  const [verb = '', target = ''] = action.split(' ')
  const [path = '', ...group] = target.split('.')
  const [resource, subresource = ''] = path.split('/')
  const { body, status } = await server.call({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: {
      spec: {
        user: who.user,
        groups: who.groups,
        resourceAttributes: {
          namespace,
          verb,
          resource,
          subresource,
          group: group.join('.'),
          name,
        },
      },
    },
  })
  assert(status === 201, 'the review was answered')
  return review.parse(body).status.allowed
}

async function allowedActions(who: Impersonation, namespace: string): Promise<string[]> {
  const verdicts = await Promise.all(
    universe.map((action) => isAllowed(who, action, { namespace })),
  )
  return universe.filter((_action, index) => verdicts[index])
}

function actions(verbs: string, ...resources: readonly string[]): string[] {
  return resources.flatMap((resource) => verbs.split(' ').map((verb) => `${verb} ${resource}`))
}

/** What Kubernetes lets everybody do who has signed in: ask about themselves. */
const everybody = [
  'create selfsubjectaccessreviews.authorization.k8s.io',
  'create selfsubjectreviews.authentication.k8s.io',
  'create selfsubjectrulesreviews.authorization.k8s.io',
]

const apiActions = [
  ...everybody,
  ...actions('get list watch create patch delete', 'generationjobs.atelier.dev'),
  ...actions('get list watch', 'models.atelier.dev'),
  ...actions('get list watch create patch', 'departments.atelier.dev'),
  'create tokenreviews.authentication.k8s.io',
]

const controllerActions = [
  ...everybody,
  ...actions('list watch delete', 'generationjobs.atelier.dev'),
  ...actions(
    'list watch',
    'models.atelier.dev',
    'departments.atelier.dev',
    'modelpools.atelier.dev',
  ),
  ...actions(
    'patch',
    'generationjobs/status.atelier.dev',
    'models/status.atelier.dev',
    'departments/status.atelier.dev',
    'modelpools/status.atelier.dev',
  ),
  ...actions('get list watch create delete', 'jobs.batch'),
  ...actions('list watch', 'workloads.kueue.x-k8s.io'),
  ...actions('get list watch create patch', 'deployments.apps'),
  ...actions('list create delete', 'resourceclaimtemplates.resource.k8s.io'),
  ...actions('create patch', 'secrets'),
  ...actions('get list watch patch', 'pods'),
  ...actions('list watch', 'nodes', 'namespaces'),
  ...actions('get create', 'serviceaccounts'),
  ...actions('create patch', 'events'),
  'create tokenreviews.authentication.k8s.io',
]

describe.each([
  { who: 'the api', as: api, namespace: systemNamespace, expected: apiActions },
  { who: 'the api', as: api, namespace: jobsNamespace, expected: apiActions },
  {
    who: 'the controller',
    as: controller,
    namespace: systemNamespace,
    expected: [...controllerActions, 'create leases.coordination.k8s.io'],
  },
  { who: 'the controller', as: controller, namespace: jobsNamespace, expected: controllerActions },
  { who: 'a job pod', as: jobPod, namespace: jobsNamespace, expected: everybody },
  { who: 'a job pod', as: jobPod, namespace: systemNamespace, expected: everybody },
])('$who in $namespace', ({ as, namespace, expected }) => {
  it('may do exactly what it needs', async () => {
    expect(await allowedActions(as, namespace)).toEqual(expected.toSorted())
  })
})

describe('dangerous rights', () => {
  it.each([
    'get secrets',
    'list secrets',
    'watch secrets',
    'update secrets',
    'delete secrets',
    'create pods',
    'update pods',
    'delete pods',
    'delete deployments.apps',
    'patch deployments/scale.apps',
    'create daemonsets.apps',
    'create replicasets.apps',
    'get resourceclaims.resource.k8s.io',
    'create pods/exec',
    'get pods/exec',
    'create serviceaccounts/token',
    'patch nodes',
    'patch namespaces',
    'update generationjobs.atelier.dev',
    'create models.atelier.dev',
    'update validatingadmissionpolicies.admissionregistration.k8s.io',
    'create clusterrolebindings.rbac.authorization.k8s.io',
    'escalate clusterroles.rbac.authorization.k8s.io',
    'impersonate serviceaccounts',
  ])('%s: neither api nor controller nor job pods', async (action) => {
    for (const who of [api, controller, jobPod]) {
      expect(await isAllowed(who, action, { namespace: jobsNamespace })).toBe(false)
    }
  })

  it.each([
    ['the api', api, 'create jobs.batch'],
    ['the api', api, 'patch generationjobs/status.atelier.dev'],
    ['the api', api, 'create deployments.apps'],
    ['the api', api, 'patch secrets'],
    ['the api', api, 'get modelpools.atelier.dev'],
    ['the api', api, 'patch modelpools/scale.atelier.dev'],
    ['the controller', controller, 'patch modelpools.atelier.dev'],
    ['the controller', controller, 'patch modelpools/scale.atelier.dev'],
    ['the api', api, 'get configmaps'],
    ['the controller', controller, 'patch generationjobs.atelier.dev'],
    ['the controller', controller, 'get configmaps'],
  ])('%s: not what is the work of the other', async (_who, who, action) => {
    expect(await isAllowed(who, action, { namespace: jobsNamespace })).toBe(false)
  })

  it.each([
    ['the api reads', api, ['get']],
    ['the controller reads and patches', controller, ['get', 'patch']],
  ])('%s the Lease of the controllers, and no other', async (_what, who, verbs) => {
    const found = [systemNamespace, jobsNamespace].flatMap((namespace) =>
      [controllerLease, 'some-name'].map((name) => ({ namespace, name })),
    )
    for (const place of found) {
      const isTheOne = place.namespace === systemNamespace && place.name === controllerLease
      const allowed: string[] = []
      for (const verb of ['get', 'list', 'watch', 'update', 'patch', 'delete']) {
        if (await isAllowed(who, `${verb} leases.coordination.k8s.io`, place)) allowed.push(verb)
      }
      expect(allowed).toEqual(isTheOne ? verbs : [])
    }
  })
})

const scaleActions = actions('get update patch', 'modelpools/scale')

describe('people', () => {
  const roles = z.object({
    rules: z.array(
      z.object({
        apiGroups: z.array(z.string()).default([]),
        resources: z.array(z.string()).default([]),
        verbs: z.array(z.string()),
      }),
    ),
  })

  async function ruleActions(role: string): Promise<Set<string>> {
    const path = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${role}`
    const { rules } = roles.parse((await server.call({ method: 'GET', path })).body)
    const ours = rules.filter(({ apiGroups }) => apiGroups.includes('atelier.dev'))
    return new Set(
      ours.flatMap(({ verbs, resources }) =>
        verbs.flatMap((verb) => resources.map((resource) => `${verb} ${resource}`)),
      ),
    )
  }

  it('see jobs with the view role and change nothing', async () => {
    const granted = await ruleActions('view')
    expect(granted).toContain('watch generationjobs')
    expect([...granted].filter((action) => !/^(get|list|watch) /.test(action))).toEqual([])
  })

  it.each(['edit', 'admin'])(
    'run jobs with the %s role, but set no status or price',
    async (role) => {
      const granted = [...(await ruleActions(role))]
      expect(granted).toContain('create generationjobs')
      const writes = granted.filter((action) => !/^(get|list|watch) /.test(action))
      expect(writes.filter((action) => !action.endsWith(' generationjobs'))).toEqual([])
    },
  )

  it.each(['view', 'edit', 'admin'])('see pools with the %s role', async (role) => {
    expect(await ruleActions(role)).toContain('watch modelpools')
  })

  it('set models, departments and pools with the platform role', async () => {
    const granted = await ruleActions('atelier-platform-edit')
    expect(granted).toContain('create models')
    expect(granted).toContain('patch departments')
    expect(granted).toContain('create modelpools')
    expect([...granted].filter((action) => action.includes('/'))).toEqual(scaleActions)
  })

  it('make and scale pools with the role of pools, and nothing else', async () => {
    const granted = [...(await ruleActions('atelier-pools-edit'))]
    expect(granted).toContain('create modelpools')
    expect(granted.filter((action) => action.includes('/'))).toEqual(scaleActions)
    expect(granted.filter((action) => !action.includes(' modelpools'))).toEqual([])
  })
})
