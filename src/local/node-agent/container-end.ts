import { closeSync, openSync, readFileSync, readSync, fstatSync } from 'node:fs'
import type { ContainerEnd } from './pod-record.ts'

/** Limits of Kubernetes for termination messages. */
const messageBytesMax = 4096
const logTailBytesMax = 2048

/** How a process ended: its code (128 + signal), or `Lost` when nobody recorded it. */
export type ProcessOutcome =
  | { readonly kind: 'Exited'; readonly exitCode: number }
  | { readonly kind: 'Lost' }

export type EndTimes = { readonly startedAt: string; readonly finishedAt: string }

/** A container's end as pods report it. */
export function describeEnd(
  outcome: ProcessOutcome,
  times: EndTimes,
  message: string | undefined,
): ContainerEnd {
  const { exitCode, reason } =
    outcome.kind === 'Lost'
      ? { exitCode: 137, reason: 'ContainerLost' }
      : { exitCode: outcome.exitCode, reason: outcome.exitCode === 0 ? 'Completed' : 'Error' }
  return { exitCode, reason, ...times, ...(message === undefined ? {} : { message }) }
}

export type MessageFiles = { readonly messageFile: string; readonly logFile: string }

/** The termination message of a run; with FallbackToLogsOnError the end of the log stands in. */
export function terminationMessage(
  files: MessageFiles,
  { policy, exitCode }: { readonly policy: string | undefined; readonly exitCode: number },
): string | undefined {
  const message = readSlice(files.messageFile, { bytesMax: messageBytesMax, fromEnd: false })
  if (message !== undefined && message.length > 0) return message
  if (policy !== 'FallbackToLogsOnError' || exitCode === 0) return undefined
  return readSlice(files.logFile, { bytesMax: logTailBytesMax, fromEnd: true })
}

function readSlice(
  file: string,
  { bytesMax, fromEnd }: { readonly bytesMax: number; readonly fromEnd: boolean },
): string | undefined {
  try {
    const descriptor = openSync(file, 'r')
    try {
      const bytes = Buffer.alloc(bytesMax)
      const start = fromEnd ? Math.max(0, fstatSync(descriptor).size - bytesMax) : 0
      const length = readSync(descriptor, bytes, 0, bytesMax, start)
      return cutText(bytes.subarray(0, length), bytesMax)
    } finally {
      closeSync(descriptor)
    }
  } catch {
    return undefined
  }
}

/**
 * Text of at most so many bytes. The API server stores valid UTF-8 only: a character that was cut
 * in two is left out, and bytes that are no text become U+FFFD, which is longer, so cut again.
 */
function cutText(bytes: Buffer, bytesMax: number): string {
  const text = new TextDecoder().decode(bytes, { stream: true })
  return new TextDecoder().decode(Buffer.from(text).subarray(0, bytesMax), { stream: true })
}

/** What the wrapper wrote when the process ended; undefined = it did not come to that. */
export function readExitCode(file: string): number | undefined {
  try {
    const text = readFileSync(file, 'utf8').trim()
    return /^\d{1,3}$/.test(text) ? Number(text) : undefined
  } catch {
    return undefined
  }
}
