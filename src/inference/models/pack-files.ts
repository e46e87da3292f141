import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { lstat, readFile, realpath } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { packError } from './pack-error.ts'

/** Digest and size of one file of the pack, from its manifest. */
export type PackFile = {
  readonly path: string
  readonly sha256: string
  readonly sizeBytes: number
}

/** The files of one model folder. With a manifest, only listed files with their digest are read. */
export type PackFiles = {
  readonly folder: string
  readonly has: (file: string) => boolean
  readonly read: (file: string) => Promise<Buffer>
  readonly readJson: (file: string) => Promise<Readonly<Record<string, unknown>>>
  /** Checks the files in `folder` that the runtime maps into memory by itself. */
  readonly verifyMapped: (folder: string) => Promise<void>
  /** Their size; 0 without a manifest. */
  readonly mappedBytes: (folder: string) => number
}

/** Without `listed` (a folder without manifest) digests are not checked, only where files lie. */
export async function openPackFiles(
  folder: string,
  listed?: readonly PackFile[],
): Promise<PackFiles> {
  const root = await realpath(folder).catch((cause: unknown) => {
    throw packError({ file: folder, cause }, 'the model folder does not exist')
  })
  const byPath = listed && new Map(listed.map((file, i) => [file.path, { ...file, index: i }]))

  async function locate(file: string): Promise<string> {
    const full = path.join(root, file)
    const found = await lstat(full).catch((cause: unknown) => {
      throw packError({ file, cause }, 'the file is missing')
    })
    // The runtime refuses external data behind links, so a pack holds real files only.
    if (found.isSymbolicLink()) throw packError({ file }, 'the file is a symbolic link')
    if (!found.isFile()) throw packError({ file }, 'not a regular file')
    if ((await realpath(full)) !== full) throw packError({ file }, 'leads out of its folder')
    return full
  }

  async function read(file: string): Promise<Buffer> {
    const bytes = await readFile(await locate(file))
    if (byPath !== undefined) {
      const actual = createHash('sha256').update(bytes).digest('hex')
      compareDigest({ file, entry: byPath.get(file), actual })
    }
    return bytes
  }

  const mappedOf = (component: string) =>
    (listed ?? []).filter((file) => isMapped(file.path, component))

  return {
    folder: root,
    has: (file) => (byPath === undefined ? existsSync(path.join(root, file)) : byPath.has(file)),
    read,
    readJson: async (file) => parseObject(file, await read(file)),
    verifyMapped: async (component) => {
      for (const { path: file } of mappedOf(component)) {
        const actual = await digestOf(await locate(file))
        compareDigest({ file, entry: byPath?.get(file), actual })
      }
    },
    mappedBytes: (component) => mappedOf(component).reduce((sum, file) => sum + file.sizeBytes, 0),
  }
}

function isMapped(file: string, component: string): boolean {
  return path.dirname(file) === component && !/\.(onnx|json|txt|md)$/.test(file)
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

type Digest = {
  readonly file: string
  readonly entry: (PackFile & { readonly index: number }) | undefined
  readonly actual: string
}

function compareDigest({ file, entry, actual }: Digest): void {
  if (entry === undefined) throw packError({ file }, 'the manifest does not list this file')
  if (entry.sha256 === actual) return
  const field = `files[${entry.index}].sha256`
  throw packError({ file, field }, `digest is ${actual}, the manifest says ${entry.sha256}`)
}

function parseObject(file: string, bytes: Buffer): Readonly<Record<string, unknown>> {
  const value = parseJson(file, bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw packError({ file }, 'not a JSON object')
  }
  return { ...value }
}

function parseJson(file: string, bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw packError({ file, cause }, 'not valid JSON')
  }
}
