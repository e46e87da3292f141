import { existsSync } from 'node:fs'

/**
 * Preloaded into a process of the product (`node --import`): at SIGUSR2 its event loop is blocked,
 * as by a computation without end, until the file exists whose path is its last argument.
 */
const [release = ''] = process.argv.slice(-1)
const word = new Int32Array(new SharedArrayBuffer(4))

process.on('SIGUSR2', () => {
  while (!existsSync(release)) Atomics.wait(word, 0, 0, 50)
})
