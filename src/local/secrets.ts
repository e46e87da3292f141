import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { keptText } from './files.ts'

/** The api's keys, made once per data folder: for links, and to seal what it stores. */
export async function makeSecrets(folder: string): Promise<void> {
  for (const name of ['url-key', 'seal-key']) {
    await keptText(join(folder, name), () => randomBytes(32).toString('hex'))
  }
}
