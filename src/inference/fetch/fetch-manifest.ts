import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { type AnyManifest, manifestName, parseManifestFile } from '../models/manifest.ts'
import { packError } from '../models/pack-error.ts'
import { FetchFault, fetchError, isTransient } from './fetch-fault.ts'
import type { PackSource } from './http-source.ts'
import { type FetchTiming, MANIFEST_BYTES_MAX } from './limits.ts'
import { retry } from '../pod/retry.ts'
import type { Clock } from '../../shared/clock.ts'

export type FetchedManifest = {
  readonly manifest: AnyManifest
  /** Its bytes, which have the digest. */
  readonly bytes: Buffer
}

export type ManifestContext = {
  readonly source: PackSource
  readonly timing: FetchTiming
  readonly clock: Clock
  readonly random: () => number
  readonly signal: AbortSignal
}

/**
 * The manifest of the pack that has this digest: from the cache, where it is there, else from its
 * server.
 * @throws AppError model.fetch_failed, model.pack_invalid
 */
export async function fetchManifest(
  { folder, digest }: { readonly folder: string; readonly digest: string },
  context: ManifestContext,
): Promise<FetchedManifest> {
  const kept = await readFile(path.join(folder, manifestName)).catch(() => undefined)
  if (kept !== undefined && digestOf(kept) === digest) return read(kept)
  const bytes = await download(context)
  const actual = digestOf(bytes)
  if (actual === digest) return read(bytes)
  const problem = `its digest at ${context.source.url} is ${actual}, the Model wants ${digest}`
  throw fetchError(manifestName, problem)
}

async function download(context: ManifestContext): Promise<Buffer> {
  const { signal, timing, source } = context
  try {
    return await retry(() => downloadOnce(source, signal), {
      ...context,
      forMs: timing.retryMaxMs * timing.fruitlessTriesMax,
      worthRetrying: isTransient,
    })
  } catch (error) {
    if (!(error instanceof FetchFault)) throw error
    throw fetchError(`${source.url}/${manifestName}`, error.message, error)
  }
}

async function downloadOnce(source: PackSource, signal: AbortSignal): Promise<Buffer> {
  const answer = await source.get(manifestName, { headers: {}, signal })
  const pieces: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const piece of answer.pieces) {
      bytes += piece.length
      if (bytes > MANIFEST_BYTES_MAX) {
        const problem = `has more than ${MANIFEST_BYTES_MAX} bytes`
        throw new FetchFault(problem, { transient: false })
      }
      pieces.push(piece)
    }
  } finally {
    await answer.cancel().catch(() => undefined)
  }
  return Buffer.concat(pieces)
}

function read(bytes: Buffer): FetchedManifest {
  const manifest = parseManifestFile(bytes)
  const paths = new Set([manifestName, ...manifest.files.map((file) => file.path)])
  for (const [index, file] of manifest.files.entries()) {
    const isFolder = [...paths].some((other) => other.startsWith(`${file.path}/`))
    if (file.path !== manifestName && !isFolder) continue
    const field = `files[${index}].path`
    throw packError({ file: manifestName, field }, 'is the manifest, or a folder of another file')
  }
  return { manifest, bytes }
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
