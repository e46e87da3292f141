import type { WriteStream } from 'node:tty'

export type ProgressBar = {
  readonly update: (progress: { readonly done: number; readonly total: number }) => void
  readonly end: () => void
}

const width = 30

/** Draws model calls done on a terminal; writes nothing into a file or pipe. */
export function startProgressBar(stream: WriteStream): ProgressBar {
  if (!stream.isTTY) return { update: () => {}, end: () => {} }
  return {
    update: ({ done, total }) => {
      const filled = Math.round((width * done) / Math.max(1, total))
      const bar = '█'.repeat(filled) + '░'.repeat(width - filled)
      stream.write(`\r${bar} ${done}/${total} steps`)
    },
    end: () => stream.write('\n'),
  }
}
