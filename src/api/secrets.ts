import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JWK } from 'jose'
import { z } from 'zod'
import { AppError } from '../shared/errors.ts'

export type ApiSecrets = {
  /** Ed25519 private key that signs access tokens. */
  readonly tokenKey: JWK
  /** 32 random bytes that sign links to objects. */
  readonly urlKey: Uint8Array
}

const tokenKeyShape = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().min(1),
  d: z.string().min(1),
})
const urlKeyShape = z
  .string()
  .trim()
  .regex(/^[0-9a-fA-F]{64}$/)

/** Reads `token-key.json` and `url-key`. Throws `platform.misconfigured`, never with contents. */
export async function readSecrets(folder: string): Promise<ApiSecrets> {
  const tokenJson = await parseJson(await readSecret(folder, 'token-key.json'))
  const tokenKey = tokenKeyShape.safeParse(tokenJson)
  if (!tokenKey.success) throw misconfigured('token-key.json is not an Ed25519 private JWK')
  const urlKey = urlKeyShape.safeParse(await readSecret(folder, 'url-key'))
  if (!urlKey.success) throw misconfigured('url-key is not 32 bytes in hexadecimal')
  return { tokenKey: tokenKey.data, urlKey: Buffer.from(urlKey.data, 'hex') }
}

async function readSecret(folder: string, name: string): Promise<string> {
  return await readFile(join(folder, name), 'utf8').catch((cause: unknown) => {
    throw misconfigured(`${name} cannot be read from ATELIER_SECRETS_FOLDER`, cause)
  })
}

/** Undefined for what is not JSON; the parser's own error would quote the secret. */
async function parseJson(text: string): Promise<unknown> {
  return await Promise.resolve(text)
    .then((json): unknown => JSON.parse(json))
    .catch(() => undefined)
}

function misconfigured(message: string, cause?: unknown): AppError {
  return new AppError('platform.misconfigured', message, { cause })
}
