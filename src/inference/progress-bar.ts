import type { WriteStream } from 'node:tty'

export type ProgressBar = {
  readonly update: (done: number) => void
  readonly end: () => void
}

const width = 30

/** Draws steps done on a terminal; writes nothing into a file or pipe. */
export function startProgressBar(stream: WriteStream, total: number): ProgressBar {
  if (!stream.isTTY) return { update: () => {}, end: () => {} }
  return {
    update: (done) => {
      const filled = Math.round((width * done) / total)
      const bar = '█'.repeat(filled) + '░'.repeat(width - filled)
      stream.write(`\r${bar} ${done}/${total} steps`)
    },
    end: () => stream.write('\n'),
  }
}
