export type RequestVerb = { readonly verb: string; readonly resource: string }

type Described = {
  readonly method: string
  readonly path: string
  readonly query?: Readonly<Record<string, unknown>> | undefined
}

/**
 * Verb and resource of a request as kube-apiserver's own metrics and audit name them: the path
 * is `/api/v1/…` or `/apis/group/version/…`, then optionally `namespaces/x`, then the resource.
 */
export function verbOf({ method, path, query }: Described): RequestVerb {
  const segments = path.split('/').slice(1)
  const start = segments[0] === 'api' ? 2 : 3
  if (segments[0] !== 'api' && segments[0] !== 'apis') return { verb: 'get', resource: 'other' }
  const scoped = segments[start] === 'namespaces' && segments.length > start + 2
  const [resource = 'other', name, subresource] = segments.slice(scoped ? start + 2 : start)
  return {
    verb: verbFor({ method, named: name !== undefined, watch: query?.['watch'] === true }),
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
  }
}

type Asked = { readonly method: string; readonly named: boolean; readonly watch: boolean }

function verbFor({ method, named, watch }: Asked): string {
  if (method === 'GET') {
    if (watch) return 'watch'
    return named ? 'get' : 'list'
  }
  if (method === 'POST') return 'create'
  if (method === 'PUT') return 'update'
  if (method === 'PATCH') return 'patch'
  return named ? 'delete' : 'deletecollection'
}
