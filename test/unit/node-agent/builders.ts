import type { PodPlace, PodSources } from '../../../src/local/node-agent/environment.ts'
import {
  type ContainerRecord,
  newContainerRecord,
} from '../../../src/local/node-agent/pod-record.ts'
import type { PodRecord } from '../../../src/local/node-agent/pod-record.ts'
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

export function aPlace(pod = aPod()): PodPlace {
  return { pod, podIp: '127.20.0.1', hostIp: '127.0.0.1' }
}

export const noSources: PodSources = { secrets: new Map(), configMaps: new Map() }

export function content(entries: Readonly<Record<string, string>>): Map<string, Buffer> {
  return new Map(Object.entries(entries).map(([key, text]) => [key, Buffer.from(text)]))
}

export function aRecord(
  containers: Readonly<Record<string, Partial<ContainerRecord>>> = {},
  changes: Partial<PodRecord> = {},
): PodRecord {
  const full = Object.entries(containers).map(([name, container]) => [
    name,
    { ...newContainerRecord, ...container },
  ])
  return {
    uid: 'uid-1',
    namespace: 'art',
    name: 'picture',
    address: '127.20.0.1',
    startTime: noon,
    containers: Object.fromEntries(full),
    isOver: false,
    ...changes,
  }
}

export const aRun = { pid: 42, processStart: '1000', startedAt: noon }

export function anEnd(exitCode: number) {
  const reason = exitCode === 0 ? 'Completed' : 'Error'
  return { exitCode, reason, startedAt: noon, finishedAt: noon }
}
