import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { lstat, readFile, realpath } from 'node:fs/promises'
import path from 'node:path'
import { digestFile, type DigestOptions } from './digest.ts'
import { packError } from './pack-error.ts'

/** Digest and size of one file of the pack, from its manifest. */
export type PackFile = {
  readonly path: string
  readonly sha256: string
  readonly sizeBytes: number
}

export function totalBytes(files: readonly { readonly sizeBytes: number }[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

/** The files of one model folder. With a manifest, only listed files with their digest are read. */
export type PackFiles = {
  readonly folder: string
  readonly has: (file: string) => boolean
  readonly read: (file: string) => Promise<Buffer>
  readonly readJson: (file: string) => Promise<Readonly<Record<string, unknown>>>
  /** As the manifest says; undefined without one. */
  readonly sizeBytes: (file: string) => number | undefined
  /** Checks the files in `folder` that the runtime maps into memory by itself. */
  readonly verifyMapped: (folder: string) => Promise<void>
  /** Their size; 0 without a manifest. */
  readonly mappedBytes: (folder: string) => number
  /** Checks place, size and digest of the listed files, without reading one into memory. */
  readonly verify: (which: 'All' | 'Mapped', options?: DigestOptions) => Promise<void>
}

export type PackFilesOptions = {
  /**
   * `Apart`: `verifyMapped` looks at place and size only, because the caller runs
   * `verify('Mapped')` beside the session and lets no picture out before that has ended well.
   */
  readonly mappedDigests?: 'Here' | 'Apart'
}

/** protobuf's own limit. */
const graphBytesMax = 2 * 1024 ** 3

type Entry = PackFile & { readonly index: number }

/** Without `listed` (a folder without manifest) digests are not checked, only where files lie. */
export async function openPackFiles(
  folder: string,
  listed?: readonly PackFile[],
  { mappedDigests = 'Here' }: PackFilesOptions = {},
): Promise<PackFiles> {
  const root = await realpath(folder).catch((cause: unknown) => {
    throw packError({ file: folder, cause }, 'the model folder does not exist')
  })
  const entries = (listed ?? []).map((file, index) => ({ ...file, index }))
  const byPath = listed && new Map(entries.map((entry) => [entry.path, entry]))

  async function read(file: string): Promise<Buffer> {
    const entry = byPath?.get(file)
    if (byPath !== undefined && entry === undefined) {
      throw packError({ file }, 'the manifest does not list this file')
    }
    const bytes = await readFile(await locate(root, file, { entry, bytesMax: graphBytesMax }))
    if (entry !== undefined) {
      compareDigest(entry, createHash('sha256').update(bytes).digest('hex'))
    }
    return bytes
  }

  const mappedOf = (component: string) => entries.filter((entry) => isMapped(entry.path, component))
  const verifyEntry = async (entry: Entry, options?: DigestOptions) => {
    const full = await locate(root, entry.path, { entry })
    compareDigest(entry, await digestFile(full, options))
  }

  return {
    folder: root,
    has: (file) => (byPath === undefined ? existsSync(path.join(root, file)) : byPath.has(file)),
    read,
    readJson: async (file) => parseObject(file, await read(file)),
    sizeBytes: (file) => byPath?.get(file)?.sizeBytes,
    verifyMapped: async (component) => {
      for (const entry of mappedOf(component)) {
        if (mappedDigests === 'Here') await verifyEntry(entry)
        else await locate(root, entry.path, { entry })
      }
    },
    mappedBytes: (component) => totalBytes(mappedOf(component)),
    verify: async (which, options) => {
      const wanted = which === 'All' ? entries : entries.filter(({ path: file }) => isMapped(file))
      for (const entry of wanted) await verifyEntry(entry, options)
    },
  }
}

type Expected = { readonly entry?: Entry; readonly bytesMax?: number }

/** Where a file lies, once it is a real file inside the folder and as large as it is listed. */
async function locate(root: string, file: string, expected: Expected): Promise<string> {
  const full = path.join(root, file)
  const found = await lstat(full).catch((cause: unknown) => {
    throw packError({ file, cause }, 'the file is missing')
  })
  // The runtime refuses external data behind links, so a pack holds real files only.
  if (found.isSymbolicLink()) throw packError({ file }, 'the file is a symbolic link')
  if (!found.isFile()) throw packError({ file }, 'not a regular file')
  if ((await realpath(full)) !== full) throw packError({ file }, 'leads out of its folder')
  compareSize(file, found.size, expected)
  return full
}

function compareSize(file: string, sizeBytes: number, { entry, bytesMax }: Expected): void {
  if (bytesMax !== undefined && sizeBytes > bytesMax) {
    const problem = `has ${sizeBytes} bytes; above 2 GiB a graph must keep weights in another file`
    throw packError({ file }, problem)
  }
  if (entry === undefined || entry.sizeBytes === sizeBytes) return
  const field = `files[${entry.index}].sizeBytes`
  throw packError({ file, field }, `has ${sizeBytes} bytes, the manifest says ${entry.sizeBytes}`)
}

/** Whether the runtime maps the file by itself, of one component or of any. */
function isMapped(file: string, component = path.dirname(file)): boolean {
  return path.dirname(file) === component && !/\.(onnx|json|txt|md|safetensors)$/.test(file)
}

function compareDigest({ path: file, index, sha256 }: Entry, actual: string): void {
  if (sha256 === actual) return
  const field = `files[${index}].sha256`
  throw packError({ file, field }, `digest is ${actual}, the manifest says ${sha256}`)
}

function parseObject(file: string, bytes: Buffer): Readonly<Record<string, unknown>> {
  const value = parseJson(file, bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw packError({ file }, 'not a JSON object')
  }
  return { ...value }
}

/** Python writes numbers that JSON does not know, such as the lambda_min_clipped of DPM++. */
const minusInfinity = /(?<=[:[,]\s*)-Infinity(?=\s*[,}\]])/g

function parseJson(file: string, bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8').replaceAll(minusInfinity, '"-inf"'))
  } catch (cause) {
    throw packError({ file, cause }, 'not valid JSON')
  }
}
