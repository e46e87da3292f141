import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { isAppError } from '../../shared/errors.ts'
import { manifestName, readAnyManifest } from '../models/manifest.ts'
import { packError } from '../models/pack-error.ts'
import { totalBytes } from '../models/pack-files.ts'
import type { Streams } from './check.ts'
import type { Command } from './command.ts'
import { formatBytes, formatTable } from './text.ts'

type Row = {
  readonly folder: string
  readonly name: string
  readonly type: string
  readonly family: string
  readonly sizeBytes: number
  readonly digest: string
}

/** A pack lies at most so many folders below PATH; its own folders hold no other pack. */
const depthMax = 4

/** Prints the packs below a folder, by their manifests alone. False when one is not readable. */
export async function listPacks(command: Command, { stdout, stderr }: Streams): Promise<boolean> {
  const rows: Row[] = []
  const folders = await findPacks(command.path, depthMax)
  let sound = true
  for (const folder of folders) {
    const row = await readRow(folder).catch((error: unknown) => {
      if (!isAppError(error)) throw error
      stderr.write(`${folder}: ${error.message}\n`)
      sound = false
    })
    if (row !== undefined) rows.push(row)
  }
  if (folders.length === 0) stderr.write(`no ${manifestName} below ${command.path}\n`)
  stdout.write(command.json ? `${JSON.stringify(rows)}\n` : describe(rows))
  return sound
}

async function findPacks(folder: string, depth: number): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw packError({ file: folder, cause }, 'the folder cannot be read')
  })
  if (entries.some(({ name }) => name === manifestName)) return [folder]
  if (depth === 0) return []
  const inside = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const found = await Promise.all(
    inside.toSorted().map((name) => findPacks(path.join(folder, name), depth - 1)),
  )
  return found.flat()
}

async function readRow(folder: string): Promise<Row> {
  const { manifest, digest } = await readAnyManifest(folder)
  const { name, type, family, files } = manifest
  const sizeBytes = totalBytes(files)
  return { folder, name, type, family, sizeBytes, digest }
}

function describe(rows: readonly Row[]): string {
  if (rows.length === 0) return ''
  const head = ['name', 'type', 'family', 'size', 'folder', 'digest']
  const cells = rows.map((row) => [
    row.name,
    row.type,
    row.family,
    formatBytes(row.sizeBytes),
    row.folder,
    row.digest,
  ])
  return formatTable([head, ...cells])
}
