import { existsSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { sleep } from '../../platform/clock/sleep.ts'
import { type RunFolder, runFolder } from './container-process.ts'
import { allStatuses, type ContainerStatus, loadStatus } from './pod-status.ts'
import type { Pod } from './pod.ts'

export type LogWish = {
  readonly container: string
  readonly previous: boolean
  /** Goes on until the container has ended. */
  readonly follow: boolean
  readonly tailLines?: number | undefined
  readonly limitBytes?: number | undefined
}

export type LogSource = {
  readonly files: RunFolder
  readonly isRunning: () => boolean
}

const POLL_MS = 200
const CHUNK_BYTES = 65_536
const LINE_END = 10

/**
 * The run of a container whose log is meant, or in the kubelet's own words why there is none
 * (pkg/kubelet/kubelet_pods.go, validateContainerLogStatus).
 */
export function findLog(pod: Pod, folder: string, wish: LogWish): LogSource | string {
  const place = `container "${wish.container}" in pod "${pod.metadata.name}"`
  const read = () => statusOf(pod, folder, wish.container)
  const status = read()
  if (status === undefined) return `${place} is not available`
  const number = runNumber(status, wish)
  if (number === undefined)
    return wish.previous ? `previous terminated ${place} not found` : waits(status, place)
  const files = runFolder(folder, wish.container, number)
  if (!existsSync(files.logFile)) return `${place} is terminated`
  const isRunning = () => {
    const now = read()
    return now?.state?.running !== undefined && now.restartCount === number
  }
  return { files, isRunning }
}

function statusOf(pod: Pod, folder: string, container: string): ContainerStatus | undefined {
  return allStatuses(loadStatus(folder) ?? pod.status).find(({ name }) => name === container)
}

/** A container that waits for its next run still has the number of its last one. */
function runNumber(status: ContainerStatus, { previous }: LogWish): number | undefined {
  const { state, lastState, restartCount } = status
  const isWaiting = state?.running === undefined && state?.terminated === undefined
  if (!previous && !isWaiting) return restartCount
  if (lastState?.terminated === undefined) return undefined
  return isWaiting ? restartCount : restartCount - 1
}

function waits({ state }: ContainerStatus, place: string): string {
  const reason = state?.waiting?.reason
  if (reason === undefined) return `${place} is waiting to start - no logs yet`
  const why = reason === 'ErrImagePull' ? "image can't be pulled" : reason
  return `${place} is waiting to start: ${why}`
}

/** Reads a log as it was written. Ends early, without an error, when the signal fires. */
export async function* readLog(
  { files, isRunning }: LogSource,
  wish: LogWish,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const file = await open(files.logFile, 'r')
  try {
    let position = wish.tailLines === undefined ? 0 : await tailStart(file, wish.tailLines)
    const end = wish.limitBytes === undefined ? Infinity : position + wish.limitBytes
    while (position < end && !signal.aborted) {
      // Asked before the last look, so that nothing which was written before the end is missed.
      const goesOn = wish.follow && isRunning()
      for await (const chunk of readRange(file, position, end)) {
        position += chunk.length
        yield chunk
      }
      if (!goesOn) return
      await sleep(POLL_MS, signal)
    }
  } finally {
    await file.close()
  }
}

/** What the file holds now between two positions. */
async function* readRange(file: FileHandle, from: number, to: number): AsyncGenerator<Buffer> {
  const end = Math.min(to, (await file.stat()).size)
  for (let position = from; position < end; position += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, end - position)
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, position)
    yield buffer
  }
}

/** Where the last so many lines begin; a line that is not complete counts. */
async function tailStart(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat()
  if (lines === 0) return size
  let left = lines
  // The line end at the very end begins no other line.
  for (let end = size - 1; end > 0; end -= CHUNK_BYTES) {
    const start = Math.max(0, end - CHUNK_BYTES)
    const { buffer } = await file.read(Buffer.alloc(end - start), 0, end - start, start)
    const ends = [...buffer.keys()].filter((index) => buffer[index] === LINE_END)
    if (ends.length >= left) return start + (ends.at(-left) ?? 0) + 1
    left -= ends.length
  }
  return 0
}
