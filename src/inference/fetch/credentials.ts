import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { fetchSecretKeys } from '../../shared/domain/pod-contract.ts'
import { type S3Credentials, signS3Get } from './sigv4.ts'

export type Credentials =
  | { readonly kind: 'None' }
  | { readonly kind: 'Bearer'; readonly token: string }
  | { readonly kind: 'S3'; readonly keys: S3Credentials; readonly region: string }

/** Reads the mounted keys of a Secret, which may be missing. A token is preferred. */
export async function readCredentials(
  folder: string | undefined,
  region: string,
): Promise<Credentials> {
  if (folder === undefined) return { kind: 'None' }
  const read = async (key: string) => {
    // A Secret that is not there is an empty folder: the server says what it thinks of that.
    const text = await readFile(path.join(folder, key), 'utf8').catch(() => '')
    return text.trim() === '' ? undefined : text.trim()
  }
  const token = await read(fetchSecretKeys.token)
  if (token !== undefined) return { kind: 'Bearer', token }
  const accessKeyId = await read(fetchSecretKeys.accessKeyId)
  const secretAccessKey = await read(fetchSecretKeys.secretAccessKey)
  if (accessKeyId === undefined || secretAccessKey === undefined) return { kind: 'None' }
  const sessionToken = await read(fetchSecretKeys.sessionToken)
  return { kind: 'S3', keys: { accessKeyId, secretAccessKey, sessionToken }, region }
}

/** The headers of a GET with those that prove who asks. */
export function withCredentials(
  credentials: Credentials,
  get: { readonly url: URL; readonly headers: Record<string, string>; readonly nowMs: number },
): Record<string, string> {
  if (credentials.kind === 'S3') {
    return signS3Get({ ...get, credentials: credentials.keys, region: credentials.region })
  }
  if (credentials.kind === 'None') return get.headers
  return { ...get.headers, authorization: `Bearer ${credentials.token}` }
}
