import { readFile } from 'node:fs/promises'
import { AppError } from '../../shared/errors.ts'
import { keyBytesMin } from './limits.ts'

/**
 * The key of the pool: the bytes of the file as they are. It is read for each request, because the
 * kubelet replaces the file when the Secret changes. @throws AppError platform.misconfigured
 */
export async function readKey(file: string): Promise<Uint8Array> {
  const key = await readFile(file).catch((cause: unknown) => {
    throw new AppError('platform.misconfigured', `the key file ${file} cannot be read`, { cause })
  })
  if (key.length >= keyBytesMin) return key
  throw new AppError('platform.misconfigured', `the key in ${file} has under ${keyBytesMin} bytes`)
}
