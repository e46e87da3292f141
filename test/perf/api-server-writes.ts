import type { KubeClient } from '../../src/platform/kube/client.ts'

/** Requests that wrote, by `verb resource[/subresource]`, since the API server started. */
export type Writes = ReadonlyMap<string, number>

const writingVerbs = new Set(['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE', 'DELETECOLLECTION'])

/** From kube-apiserver's own counter `apiserver_request_total`, so that every client counts. */
export async function countWrites(client: KubeClient): Promise<Writes> {
  const lines = await client.stream({ path: '/metrics', silenceMs: 10_000 })
  const writes = new Map<string, number>()
  for await (const line of lines) {
    if (!line.startsWith('apiserver_request_total{')) continue
    const label = (name: string) => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? ''
    const verb = label('verb')
    if (!writingVerbs.has(verb) || !label('code').startsWith('2')) continue
    const subresource = label('subresource')
    const name = `${verb} ${label('resource')}${subresource === '' ? '' : `/${subresource}`}`
    writes.set(name, (writes.get(name) ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1)))
  }
  return writes
}
