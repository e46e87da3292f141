import { describe, expect, it } from 'vitest'
import { verbOf } from '../../../../src/platform/kube/request-verb.ts'
import {
  generationJobs,
  jobs,
  keyOf,
  models,
  namespaces,
  pathOf,
  pods,
  refOf,
} from '../../../../src/platform/kube/resources.ts'

describe('pathOf', () => {
  it.each([
    [pathOf(pods), '/api/v1/pods'],
    [pathOf(pods, { namespace: 'a' }), '/api/v1/namespaces/a/pods'],
    [pathOf(pods, { namespace: 'a', name: 'p' }), '/api/v1/namespaces/a/pods/p'],
    [pathOf(jobs, { namespace: 'a' }), '/apis/batch/v1/namespaces/a/jobs'],
    [pathOf(models, { name: 'm' }), '/apis/atelier.dev/v1alpha1/models/m'],
    [pathOf(models, { namespace: 'ignored', name: 'm' }), '/apis/atelier.dev/v1alpha1/models/m'],
    [pathOf(namespaces, { name: 'n' }), '/api/v1/namespaces/n'],
    [
      pathOf(generationJobs, { namespace: 'a', name: 'g', subresource: 'status' }),
      '/apis/atelier.dev/v1alpha1/namespaces/a/generationjobs/g/status',
    ],
  ])('%s', (path, expected) => {
    expect(path).toBe(expected)
  })

  it('does not let a name leave its place', () => {
    expect(pathOf(models, { name: '../nodes?x=1' })).toBe(
      '/apis/atelier.dev/v1alpha1/models/..%2Fnodes%3Fx%3D1',
    )
  })

  it('refuses an object of a namespaced kind without its namespace', () => {
    expect(() => pathOf(pods, { name: 'p' })).toThrow('namespace')
  })
})

describe('keys', () => {
  it('go to references and back', () => {
    for (const metadata of [{ name: 'n', namespace: 's' }, { name: 'n' }]) {
      expect(refOf(keyOf({ metadata }))).toEqual(metadata)
    }
  })
})

describe('verbOf', () => {
  const path = '/api/v1/namespaces/a/pods'
  it.each([
    [{ method: 'GET', path }, 'list', 'pods'],
    [{ method: 'GET', path, query: { watch: true } }, 'watch', 'pods'],
    [{ method: 'GET', path: `${path}/p` }, 'get', 'pods'],
    [{ method: 'POST', path }, 'create', 'pods'],
    [{ method: 'DELETE', path: `${path}/p` }, 'delete', 'pods'],
    [{ method: 'DELETE', path }, 'deletecollection', 'pods'],
    [{ method: 'PATCH', path: `${path}/p/status` }, 'patch', 'pods/status'],
    [{ method: 'PUT', path: '/apis/batch/v1/namespaces/a/jobs/j' }, 'update', 'jobs'],
    [{ method: 'GET', path: '/api/v1/namespaces/a' }, 'get', 'namespaces'],
    [{ method: 'GET', path: '/api/v1/namespaces' }, 'list', 'namespaces'],
    [{ method: 'GET', path: '/apis/atelier.dev/v1alpha1/models/m' }, 'get', 'models'],
    [{ method: 'GET', path: '/version' }, 'get', 'other'],
  ])('%j', (request, verb, resource) => {
    expect(verbOf(request)).toEqual({ verb, resource })
  })
})
