import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { keptText } from './files.ts'

/** The api's keys, made once per data folder: an Ed25519 key for tokens, a key for object links. */
export async function makeSecrets(folder: string): Promise<void> {
  await keptText(join(folder, 'token-key.json'), () =>
    JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })),
  )
  await keptText(join(folder, 'url-key'), () => randomBytes(32).toString('hex'))
}
