import type { PodPlace } from '../../../src/local/node-agent/environment.ts'
import type { Container, Pod } from '../../../src/local/node-agent/pod.ts'

export const noon = '2026-01-01T12:00:00.000Z'

export function aContainer(changes: Partial<Container> = {}): Container {
  return { name: 'main', image: 'test/image', ...changes }
}

export function aPod(spec: Partial<Pod['spec']> = {}, metadata: object = {}): Pod {
  return {
    metadata: {
      name: 'picture',
      namespace: 'art',
      uid: 'uid-1',
      resourceVersion: '1',
      creationTimestamp: noon,
      ...metadata,
    },
    spec: { nodeName: 'node-1', restartPolicy: 'Never', containers: [aContainer()], ...spec },
  }
}

/** Secrets and ConfigMaps by `Kind name`, each with its keys. */
type Contents = Readonly<Record<string, Readonly<Record<string, string>>>>

export function aPlace(changes: Partial<PodPlace> = {}, contents: Contents = {}): PodPlace {
  const read: PodPlace['read'] = async (kind, name) => {
    const keys = contents[`${kind} ${name}`]
    const entries = Object.entries(keys ?? {}).map(
      ([key, text]) => [key, Buffer.from(text)] as const,
    )
    return await Promise.resolve(keys && new Map(entries))
  }
  return { pod: aPod(), podIp: '127.20.0.1', folder: '/pod', read, ...changes }
}

export function anEnd(exitCode: number) {
  const reason = exitCode === 0 ? 'Completed' : 'Error'
  return { exitCode, reason, startedAt: noon, finishedAt: noon }
}
