import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { sleep } from '../../platform/clock/sleep.ts'
import { AppError } from '../../shared/errors.ts'
import { digestFile } from '../models/digest.ts'
import type { PackFile } from '../models/pack-files.ts'
import { FetchFault, fetchError, isTransient } from './fetch-fault.ts'
import { flushFolder, isDiskFull, isFileOf, placeFor } from './files.ts'
import type { PackSource, SourceAnswer } from './http-source.ts'
import { type FetchTiming, WHOLE_TRIES_MAX } from './limits.ts'
import { judgeAnswer, type PartState, resumeHeaders, strongTag } from './resume.ts'

export type DownloadContext = {
  readonly source: PackSource
  /** Folder of the pack, a real path. */
  readonly folder: string
  /** Where unfinished files lie. */
  readonly partsFolder: string
  readonly timing: FetchTiming
  readonly random: () => number
  /** Bytes of this file that are on the disk; may shrink when they turn out to be wrong. */
  readonly onBytes: (bytes: number) => void
  readonly onRetry: (error: unknown) => void
  readonly signal: AbortSignal
}

/**
 * Brings one file of a pack to its place, going on where an earlier try ended. It is there whole,
 * with the digest of the manifest, or not at all.
 * @throws AppError model.fetch_failed, model.cache_full when the disk is full.
 */
export async function downloadFile(file: PackFile, context: DownloadContext): Promise<void> {
  const target = await placeFor(context.folder, file.path)
  if (await isRight(target, file, context.signal)) return context.onBytes(file.sizeBytes)
  await rm(target, { recursive: true, force: true })
  const part = path.join(context.partsFolder, partName(file))
  try {
    await bringPart(file, part, context)
  } catch (error) {
    context.signal.throwIfAborted()
    throw named(file, error)
  }
  await rename(part, target)
  await rm(tagOf(part), { force: true })
  await flushFolder(path.dirname(target))
}

/** No path can become a name with the digest, and two files of one digest have one content. */
function partName({ path: file, sha256 }: PackFile): string {
  return createHash('sha256').update(`${file} ${sha256}`).digest('hex')
}

async function isRight(target: string, file: PackFile, signal: AbortSignal): Promise<boolean> {
  if (!(await isFileOf(target, file.sizeBytes))) return false
  return (await digestFile(target, { signal })) === file.sha256
}

/** Tries until the part is the whole file; gives up when tries bring nothing any more. */
async function bringPart(file: PackFile, part: string, context: DownloadContext): Promise<void> {
  const { timing, signal, onRetry } = context
  let fruitless = 0
  let wrong = 0
  for (;;) {
    const tried = await tryOnce(file, part, context)
    if (tried.kind === 'Done') return
    onRetry(tried.error)
    if (tried.kind === 'Wrong') wrong += 1
    fruitless = tried.bytes > 0 ? 0 : fruitless + 1
    const isOver = wrong >= WHOLE_TRIES_MAX || fruitless >= timing.fruitlessTriesMax
    if (isOver || signal.aborted) throw tried.error
    await sleep(pauseMs(fruitless, tried.error, context), signal)
  }
}

function pauseMs(fruitless: number, error: unknown, { timing, random }: DownloadContext): number {
  const wanted = error instanceof FetchFault ? (error.retryAfterMs ?? 0) : 0
  const grown = timing.retryFirstMs * 2 ** fruitless * (0.5 + random() / 2)
  return Math.min(Math.max(grown, wanted), timing.retryMaxMs)
}

type Tried =
  | { readonly kind: 'Done' }
  /** `bytes`: how many this try brought. */
  | { readonly kind: 'Wrong' | 'Broken'; readonly error: unknown; readonly bytes: number }

/** Rejects with what another try would not change. */
async function tryOnce(file: PackFile, part: string, context: DownloadContext): Promise<Tried> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants
  const handle = await open(part, O_RDWR | O_CREAT | O_NOFOLLOW, 0o644)
  const writer = await openPart(handle, file, context.onBytes)
  const startBytes = writer.bytes
  try {
    if (writer.bytes < file.sizeBytes) await receive(file, { part, writer, context })
    const problem = writer.problem()
    if (problem === undefined) {
      await handle.sync()
      return { kind: 'Done' }
    }
    await writer.reset()
    return { kind: 'Wrong', error: new FetchFault(problem, { transient: true }), bytes: 0 }
  } catch (error) {
    if (!isTransient(error)) throw error
    return { kind: 'Broken', error, bytes: writer.bytes - startBytes }
  } finally {
    await handle.close()
  }
}

type Receiving = {
  readonly part: string
  readonly writer: PartWriter
  readonly context: DownloadContext
}

async function receive(file: PackFile, { part, writer, context }: Receiving): Promise<void> {
  const { source, signal } = context
  const state: PartState = { bytes: writer.bytes, etag: await readTag(part) }
  const answer = await source.get(file.path, { headers: resumeHeaders(state), signal })
  try {
    const verdict = judgeAnswer(rangeOf(answer), { bytes: writer.bytes, sizeBytes: file.sizeBytes })
    if (verdict.kind === 'Refused') throw new FetchFault(verdict.problem, { transient: false })
    if (verdict.kind !== 'Append') await writer.reset()
    if (verdict.kind === 'Restart') {
      throw new FetchFault('the server sent another part than was asked for', { transient: true })
    }
    await writeTag(part, answer)
    for await (const piece of answer.pieces) await writer.write(piece)
  } finally {
    await answer.cancel().catch(() => undefined)
  }
  if (writer.bytes < file.sizeBytes) {
    const problem = `the answer ended after ${writer.bytes} of ${file.sizeBytes} bytes`
    throw new FetchFault(problem, { transient: true })
  }
}

function rangeOf({ status, headers }: SourceAnswer) {
  return {
    status,
    contentRange: headers.get('content-range'),
    contentLength: headers.get('content-length'),
    contentEncoding: headers.get('content-encoding'),
  }
}

type PartWriter = {
  readonly bytes: number
  readonly write: (piece: Uint8Array) => Promise<void>
  /** Forgets what is there. */
  readonly reset: () => Promise<void>
  /** What is wrong with the whole file; undefined when it has its digest. */
  readonly problem: () => string | undefined
}

/** Reads what an earlier try left: its digest has to be known. */
async function openPart(
  handle: FileHandle,
  { sha256, sizeBytes }: PackFile,
  onBytes: (bytes: number) => void,
): Promise<PartWriter> {
  let hash: Hash = createHash('sha256')
  let bytes = 0
  const add = (piece: Uint8Array) => {
    hash.update(piece)
    bytes += piece.length
    onBytes(bytes)
  }
  const reset = async () => {
    await handle.truncate(0)
    hash = createHash('sha256')
    bytes = 0
    onBytes(0)
  }
  if ((await handle.stat()).size > sizeBytes) await reset()
  for await (const piece of handle.createReadStream({ start: 0, autoClose: false })) add(piece)
  return {
    get bytes() {
      return bytes
    },
    write: async (piece) => {
      if (bytes + piece.length > sizeBytes) {
        throw new FetchFault(`the server sent more than ${sizeBytes} bytes`, { transient: false })
      }
      await writeAll(handle, piece, bytes)
      add(piece)
    },
    reset,
    problem: () => {
      const digest = hash.copy().digest('hex')
      return digest === sha256 ? undefined : `digest is ${digest}, the manifest says ${sha256}`
    },
  }
}

async function writeAll(handle: FileHandle, piece: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < piece.length;) {
    const rest = piece.length - written
    written += (await handle.write(piece, written, rest, position + written)).bytesWritten
  }
}

function tagOf(part: string): string {
  return `${part}.etag`
}

async function readTag(part: string): Promise<string | undefined> {
  return await readFile(tagOf(part), 'utf8').catch(() => undefined)
}

/** Before the first byte: what is on the disk is always of the version that is noted. */
async function writeTag(part: string, { headers }: SourceAnswer): Promise<void> {
  const tag = strongTag(headers.get('etag'))
  if (tag === undefined) await rm(tagOf(part), { force: true })
  else await writeFile(tagOf(part), tag)
}

function named({ path: file }: PackFile, error: unknown): unknown {
  if (error instanceof FetchFault) return fetchError(file, error.message, error)
  if (!isDiskFull(error)) return error
  return new AppError('model.cache_full', `${file}: the disk is full`, { cause: error })
}
