import { formatBytes } from './text.ts'

/** A terminal, a file or a pipe. */
export type Output = {
  readonly isTTY?: boolean
  readonly write: (text: string) => unknown
}

export type ByteBar = {
  readonly add: (count: number) => void
  readonly end: () => void
}

const width = 30

/** Draws bytes done on a terminal; writes nothing into a file or pipe. */
export function startByteBar(stream: Output, totalBytes: number): ByteBar {
  if (stream.isTTY !== true) return { add: () => {}, end: () => {} }
  let done = 0
  let drawn = -1
  return {
    add: (count) => {
      done += count
      const filled = Math.round((width * done) / Math.max(totalBytes, 1))
      if (filled === drawn) return
      drawn = filled
      const bar = '█'.repeat(filled) + '░'.repeat(Math.max(width - filled, 0))
      stream.write(`\r${bar} ${formatBytes(done)} of ${formatBytes(totalBytes)} read`)
    },
    end: () => stream.write('\r\u001B[K'),
  }
}
