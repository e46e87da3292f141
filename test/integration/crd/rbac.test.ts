import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { assert } from '../../../src/shared/assert.ts'
import { jobsNamespace, serviceAccounts, systemNamespace } from '../../../src/shared/names.ts'
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

const dangerous = [
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

async function isAllowed(who: Impersonation, action: string, namespace: string): Promise<boolean> {
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
          name: 'some-name',
        },
      },
    },
  })
  assert(status === 201, 'the review was answered')
  return review.parse(body).status.allowed
}

async function allowedActions(who: Impersonation, namespace: string): Promise<string[]> {
  const verdicts = await Promise.all(universe.map((action) => isAllowed(who, action, namespace)))
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
  ...actions('get list watch delete', 'generationjobs.atelier.dev'),
  ...actions('get list watch', 'models.atelier.dev', 'departments.atelier.dev'),
  ...actions(
    'get patch update',
    'generationjobs/status.atelier.dev',
    'models/status.atelier.dev',
    'departments/status.atelier.dev',
  ),
  ...actions('get list watch create delete', 'jobs.batch'),
  ...actions('get list watch', 'pods', 'nodes', 'namespaces'),
  ...actions('get create', 'serviceaccounts'),
  ...actions('create patch', 'events', 'events.events.k8s.io'),
]

const leaseActions = actions('get list watch create update patch', 'leases.coordination.k8s.io')

describe.each([
  { who: 'the api', as: api, namespace: systemNamespace, expected: apiActions },
  { who: 'the api', as: api, namespace: jobsNamespace, expected: apiActions },
  {
    who: 'the controller',
    as: controller,
    namespace: systemNamespace,
    expected: [...controllerActions, ...leaseActions],
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
    'create pods',
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
      expect(await isAllowed(who, action, jobsNamespace)).toBe(false)
    }
  })

  it.each([
    ['the api', api, 'create jobs.batch'],
    ['the api', api, 'patch generationjobs/status.atelier.dev'],
    ['the api', api, 'get configmaps'],
    ['the controller', controller, 'patch generationjobs.atelier.dev'],
    ['the controller', controller, 'get configmaps'],
    ['the controller', controller, 'create tokenreviews.authentication.k8s.io'],
  ])('%s: not what is the work of the other', async (_who, who, action) => {
    expect(await isAllowed(who, action, jobsNamespace)).toBe(false)
  })
})

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

  it('set models and departments with the platform role', async () => {
    const granted = await ruleActions('atelier-platform-edit')
    expect(granted).toContain('create models')
    expect(granted).toContain('patch departments')
    expect([...granted].filter((action) => action.includes('/'))).toEqual([])
  })
})
