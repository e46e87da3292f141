import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { AppError } from '../../shared/errors.ts'
import { checkBytes, measureBytes } from './check-bytes.ts'
import { assertObjectKey, isObjectKey } from './key.ts'
import type { AddOptions, ObjectFacts, ObjectStore, PutOptions, StoredObject } from './store.ts'

/**
 * Objects as files: `content/<key>` holds the bytes, `facts/<key>.json` what is known about them.
 * Both are written beside (`partial/`), flushed and renamed, facts first: bytes that can be seen
 * are complete and described. A crash leaves at most a partial file.
 */
export async function openFolderStore(root: string): Promise<ObjectStore> {
  const folders = {
    content: path.join(root, 'content'),
    facts: path.join(root, 'facts'),
    partial: path.join(root, 'partial'),
  }
  for (const folder of Object.values(folders)) await mkdir(folder, { recursive: true })
  await forgetPartials(folders.partial)
  const head = async (key: string) => await readHead(folders, key)
  return {
    put: async (key, bytes, options) => await put(folders, key, { bytes, options }),
    add: async (bytes, options) => await add(folders, bytes, options),
    get: async (key) => {
      const found = await head(key)
      if (found === null) return null
      return { ...found, bytes: createReadStream(contentPath(folders, key)) }
    },
    head,
    delete: async (key) => {
      const found = await head(key)
      if (found === null) return false
      await rm(contentPath(folders, key), { force: true })
      await rm(factsPath(folders, key), { force: true })
      return true
    },
    list: (prefix) => listKeys(folders, prefix),
  }
}

type Folders = { readonly content: string; readonly facts: string; readonly partial: string }
type Upload = { readonly bytes: Readable; readonly options: PutOptions }
type Placed = ObjectFacts & { readonly partial: string }

const partialMsMax = 86_400_000

const facts = z.object({ sha256: z.string(), sizeBytes: z.number(), contentType: z.string() })

async function put(folders: Folders, key: string, upload: Upload): Promise<StoredObject> {
  const { bytes, options } = upload
  assertObjectKey(key)
  const partial = path.join(folders.partial, randomUUID())
  try {
    await receive(partial, bytes, { check: checkBytes(options), signal: options.signal })
    return await place(folders, key, { ...options, partial })
  } finally {
    await rm(partial, { force: true })
  }
}

async function add(folders: Folders, bytes: Readable, options: AddOptions): Promise<StoredObject> {
  const { sizeBytesMax, contentType, keyOf, signal } = options
  const partial = path.join(folders.partial, randomUUID())
  const { check, measured } = measureBytes(sizeBytesMax)
  try {
    await receive(partial, bytes, { check, signal })
    const { sha256, sizeBytes } = measured()
    const key = await keyOf({ sha256, sizeBytes })
    return await place(folders, key, { sha256, sizeBytes, contentType, partial })
  } finally {
    await rm(partial, { force: true })
  }
}

/** Makes complete bytes visible under their key. */
async function place(folders: Folders, key: string, placed: Placed): Promise<StoredObject> {
  const { sha256, sizeBytes, contentType, partial } = placed
  assertObjectKey(key)
  await refuseOther(folders, key, placed)
  await placeFacts(folders, key, { sha256, sizeBytes, contentType })
  const target = contentPath(folders, key)
  await mkdir(path.dirname(target), { recursive: true })
  await rename(partial, target)
  return { key, sha256, sizeBytes, contentType }
}

/** Another process may be writing here: only what nobody has touched for long goes. */
async function forgetPartials(folder: string): Promise<void> {
  const probe = path.join(folder, randomUUID())
  await writeFile(probe, '')
  // The clock of the file system itself, which may be another machine's.
  const { mtimeMs: nowMs } = await stat(probe)
  await rm(probe)
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name)
    const found = await stat(file).catch(() => null)
    if (found !== null && nowMs - found.mtimeMs > partialMsMax) await rm(file, { force: true })
  }
}

/** Writes and flushes the bytes; throws before anybody could see wrong ones. */
async function receive(
  file: string,
  bytes: Readable,
  { check, signal }: { readonly check: Transform; readonly signal: AbortSignal | undefined },
): Promise<void> {
  await pipeline(bytes, check, createWriteStream(file), { ...(signal && { signal }) })
  const handle = await open(file, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function refuseOther(folders: Folders, key: string, { sha256 }: ObjectFacts): Promise<void> {
  const existing = await readHead(folders, key)
  if (existing === null || existing.sha256 === sha256) return
  throw new AppError('object.mismatch', 'this key holds other bytes already')
}

async function placeFacts(folders: Folders, key: string, value: ObjectFacts): Promise<void> {
  const partial = path.join(folders.partial, randomUUID())
  await writeFile(partial, JSON.stringify(value), { flush: true })
  const target = factsPath(folders, key)
  await mkdir(path.dirname(target), { recursive: true })
  await rename(partial, target)
}

/** The size comes from the file itself, so that a cut file is not taken for the whole. */
async function readHead(folders: Folders, key: string): Promise<StoredObject | null> {
  assertObjectKey(key)
  try {
    const found = await stat(contentPath(folders, key))
    if (!found.isFile()) return null
    const known = facts.parse(JSON.parse(await readFile(factsPath(folders, key), 'utf8')))
    return { key, ...known, sizeBytes: found.size }
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** Reads the prefix's own folder only, so that the objects of one job are cheap to find. */
async function* listKeys(folders: Folders, prefix: string) {
  const inside = path.join(folders.content, ...prefix.split('/').slice(0, -1))
  const root = inside.startsWith(folders.content) ? inside : folders.content
  const names = await readdir(root, { recursive: true, withFileTypes: true }).catch(emptyIfMissing)
  for (const entry of names) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    const key = path.relative(folders.content, file).split(path.sep).join('/')
    if (!key.startsWith(prefix) || !isObjectKey(key)) continue
    yield { key, sizeBytes: (await stat(file)).size }
  }
}

function emptyIfMissing(error: unknown): [] {
  if (isMissing(error)) return []
  throw error
}

function contentPath(folders: Folders, key: string): string {
  return path.join(folders.content, ...key.split('/'))
}

function factsPath(folders: Folders, key: string): string {
  return `${path.join(folders.facts, ...key.split('/'))}.json`
}

function isMissing(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  return error.code === 'ENOENT' || error.code === 'ENOTDIR'
}
