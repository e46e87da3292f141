import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto'
import { AppError } from '../../shared/errors.ts'

/** Keeps what must be stored but never read in a database: signing keys, codes in waiting mails. */
export type Seal = {
  /** AES-256-GCM as base64url of nonce, ciphertext and tag. `purpose` binds it to one use. */
  readonly close: (purpose: string, text: string) => string
  /** Errors: `platform.misconfigured` when another key closed it or somebody changed it. */
  readonly open: (purpose: string, sealed: string) => string
  /** HMAC-SHA-256 in hexadecimal: for short secrets that plain hashes would give away. */
  readonly digest: (purpose: string, text: string) => string
}

const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

/** `key` is 32 random bytes of the secrets folder; each use has a key of its own by HKDF. */
export function createSeal(key: Uint8Array, randomBytes: (length: number) => Uint8Array): Seal {
  const derive = (use: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', key, new Uint8Array(), `atelier ${use}`, 32))
  const sealing = derive('seal')
  const digesting = derive('digest')
  return {
    close: (purpose, text) => {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv(algorithm, sealing, nonce).setAAD(Buffer.from(purpose))
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url')
    },
    open: (purpose, sealed) => openSealed(sealing, purpose, sealed),
    digest: (purpose, text) =>
      createHmac('sha256', digesting)
        .update(JSON.stringify([purpose, text]))
        .digest('hex'),
  }
}

function openSealed(key: Uint8Array, purpose: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64url')
  const end = bytes.length - tagBytes
  try {
    const options = { authTagLength: tagBytes }
    const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), options)
    decipher.setAAD(Buffer.from(purpose)).setAuthTag(bytes.subarray(end))
    const head = decipher.update(bytes.subarray(nonceBytes, end))
    return Buffer.concat([head, decipher.final()]).toString('utf8')
  } catch (cause) {
    throw new AppError('platform.misconfigured', `what is sealed for ${purpose} does not open`, {
      cause,
    })
  }
}
