import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { type Pod, allContainers } from './pod.ts'

const containerRun = z.object({
  pid: z.int(),
  /** Start time from /proc: with the pid it names a process uniquely until the next boot. */
  processStart: z.string(),
  startedAt: z.string(),
})

const containerEnd = z.object({
  exitCode: z.int(),
  reason: z.string(),
  message: z.string().optional(),
  startedAt: z.string(),
  finishedAt: z.string(),
})

const containerRecord = z.object({
  restarts: z.int(),
  /** Ends since the last long run, for the back-off. */
  endsInRow: z.int(),
  run: containerRun.optional(),
  end: containerEnd.optional(),
  waiting: z.object({ reason: z.string(), message: z.string().optional() }).optional(),
  /** The startup probe has succeeded, or there is none. */
  started: z.boolean(),
  ready: z.boolean(),
})

const podRecord = z.object({
  uid: z.string(),
  namespace: z.string(),
  name: z.string(),
  address: z.string(),
  startTime: z.string(),
  containers: z.record(z.string(), containerRecord),
  /** No container runs or will run again. */
  isOver: z.boolean(),
  /** The agent ended the pod for this reason: it has failed whatever its exit codes say. */
  failure: z.object({ reason: z.string(), message: z.string() }).optional(),
})

export type ContainerRun = Readonly<z.infer<typeof containerRun>>
export type ContainerEnd = Readonly<z.infer<typeof containerEnd>>
export type ContainerRecord = Readonly<z.infer<typeof containerRecord>>
export type PodFailure = { readonly reason: string; readonly message: string }
/** What the agent knows of a pod; kept in the pod's folder so that a restarted agent knows it. */
export type PodRecord = Readonly<z.infer<typeof podRecord>>

export const newContainerRecord: ContainerRecord = {
  restarts: 0,
  endsInRow: 0,
  started: false,
  ready: false,
}

export function containerOf(record: PodRecord, name: string): ContainerRecord {
  return record.containers[name] ?? newContainerRecord
}

/** Replaces one container's record. Keys set to undefined are dropped by the JSON in between. */
export function withContainer(
  record: PodRecord,
  name: string,
  change: Partial<ContainerRecord>,
): PodRecord {
  const container = { ...containerOf(record, name), ...change }
  return { ...record, containers: { ...record.containers, [name]: container } }
}

export function newRecord(
  pod: Pod,
  { address, now }: { readonly address: string; readonly now: string },
): PodRecord {
  const { uid, namespace, name } = pod.metadata
  return { uid, namespace, name, address, startTime: now, containers: {}, isOver: false }
}

/** For a pod that ran before the agent lost all knowledge of it: never report it as running. */
export function lostRecord(pod: Pod, now: string): PodRecord {
  const startedAt = pod.status?.startTime ?? now
  const end = { exitCode: 137, reason: 'ContainerLost', startedAt, finishedAt: now }
  const containers = allContainers(pod).map(({ name }) => [name, { ...newContainerRecord, end }])
  return {
    ...newRecord(pod, { address: pod.status?.podIP ?? '', now: startedAt }),
    containers: Object.fromEntries(containers),
    isOver: true,
    failure: { reason: 'NodeRestarted', message: 'the process node has lost the pod' },
  }
}

export function podFolder(podsFolder: string, uid: string): string {
  return join(podsFolder, uid)
}

export function containerFolder(folder: string, name: string): string {
  return join(folder, 'containers', name)
}

/**
 * Synchronous on purpose: between a process's start and this record nothing else may happen.
 * Not flushed to the disk: after a power loss the processes are gone too.
 */
export function saveRecord(podsFolder: string, record: PodRecord): void {
  const file = join(podFolder(podsFolder, record.uid), 'record.json')
  writeFileSync(`${file}.new`, JSON.stringify(record))
  renameSync(`${file}.new`, file)
}

/** All readable records; a folder without one (the agent died before writing it) is left out. */
export function loadRecords(podsFolder: string): readonly PodRecord[] {
  mkdirSync(podsFolder, { recursive: true })
  return readdirSync(podsFolder).flatMap((uid) => {
    const record = loadRecord(join(podsFolder, uid, 'record.json'))
    return record === undefined ? [] : [record]
  })
}

function loadRecord(file: string): PodRecord | undefined {
  try {
    return podRecord.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return undefined
  }
}

export function removePodFolder(podsFolder: string, uid: string): void {
  rmSync(podFolder(podsFolder, uid), { recursive: true, force: true, maxRetries: 3 })
}
