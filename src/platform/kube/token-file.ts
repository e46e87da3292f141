import { readFile } from 'node:fs/promises'

/** A busy controller asks hundreds of times a second; the kubelet replaces tokens hours apart. */
const ageMsMax = 1000

/**
 * The token of a projected volume, read again at most once a second: the kubelet replaces it in
 * place at 80 % of its life (KEP-1205). Rejects with the error of the file system.
 */
export function openTokenFile(file: string): () => Promise<string> {
  let known: { readonly token: Promise<string>; readonly readMs: number } | undefined
  return async () => {
    const nowMs = performance.now()
    if (known === undefined || nowMs - known.readMs >= ageMsMax) {
      const token = readFile(file, 'utf8').then((text) => text.trim())
      known = { token, readMs: nowMs }
      // A file that is not there yet is looked for at the next request.
      token.catch(() => (known = undefined))
    }
    return await known.token
  }
}
