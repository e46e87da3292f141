import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../shared/errors.ts'

export type ApiSecrets = {
  /** 32 random bytes that sign links to objects. */
  readonly urlKey: Uint8Array
  /** 32 random bytes that close what the database must not show, such as signing keys. */
  readonly sealKey: Uint8Array
}

const keyShape = z
  .string()
  .trim()
  .regex(/^[0-9a-fA-F]{64}$/)

/** Reads `url-key` and `seal-key`. Throws `platform.misconfigured`, never with contents. */
export async function readSecrets(folder: string): Promise<ApiSecrets> {
  return {
    urlKey: await readKey(folder, 'url-key'),
    sealKey: await readKey(folder, 'seal-key'),
  }
}

async function readKey(folder: string, name: string): Promise<Uint8Array> {
  const text = await readFile(join(folder, name), 'utf8').catch((cause: unknown) => {
    throw misconfigured(`${name} cannot be read from ATELIER_SECRETS_FOLDER`, cause)
  })
  const key = keyShape.safeParse(text)
  if (!key.success) throw misconfigured(`${name} is not 32 bytes in hexadecimal`)
  return Buffer.from(key.data, 'hex')
}

function misconfigured(message: string, cause?: unknown): AppError {
  return new AppError('platform.misconfigured', message, { cause })
}
