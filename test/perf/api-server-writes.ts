import type { KubeClient } from '../../src/platform/kube/client.ts'

/** Requests that wrote, by `verb resource[/subresource]`, since the API server started. */
export type Writes = ReadonlyMap<string, number>

const counter = 'apiserver_request_total{'
/** They are answered, and nothing of them is kept. */
const answeredOnly = /^POST (serviceaccounts\/token|tokenreviews|\w*subject(access|rules)reviews)$/
const writingVerbs = new Set(['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE', 'DELETECOLLECTION'])

export type WriteCounts = {
  readonly done: Writes
  /** Answered with another status than 2xx: conflicts, mostly. */
  readonly refused: Writes
}

/** From kube-apiserver's own counter `apiserver_request_total`, so that every client counts. */
export async function readWrites(client: KubeClient): Promise<WriteCounts> {
  const lines = await client.stream({ path: '/metrics', silenceMs: 10_000 })
  const ours: string[] = []
  for await (const line of lines) if (line.startsWith(counter)) ours.push(line)
  return parseWrites(ours)
}

/** Those that were answered well. */
export async function countWrites(client: KubeClient): Promise<Writes> {
  return (await readWrites(client)).done
}

/** Lines of the API server's metrics. */
export function parseWrites(lines: readonly string[]): WriteCounts {
  const [done, refused] = [new Map<string, number>(), new Map<string, number>()]
  for (const line of lines) {
    if (!line.startsWith(counter)) continue
    const label = (name: string) => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? ''
    const verb = label('verb')
    const subresource = label('subresource')
    const name = `${verb} ${label('resource')}${subresource === '' ? '' : `/${subresource}`}`
    // What is only tried out is written nowhere either.
    if (!writingVerbs.has(verb) || label('dry_run') !== '' || answeredOnly.test(name)) continue
    const counts = label('code').startsWith('2') ? done : refused
    counts.set(name, (counts.get(name) ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1)))
  }
  return { done, refused }
}
