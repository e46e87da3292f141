import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import process from 'node:process'
import { manifest, manifestName } from '../models/manifest.ts'
import type { PackFile } from '../models/pack-files.ts'

/** Files that describe a pack to people and are not part of the model. */
const unlisted = new Set([manifestName, 'README.md', 'samples.png'])

async function listFiles(folder: string): Promise<readonly PackFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((file) => !unlisted.has(file))
    .toSorted()
  return Promise.all(paths.map((file) => listFile(folder, file)))
}

async function listFile(folder: string, file: string): Promise<PackFile> {
  const bytes = await readFile(path.join(folder, file))
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { path: file, sha256, sizeBytes: bytes.length }
}

/** Rewrites the file list of a pack's manifest: `node src/inference/list-pack/cli.ts models/demo`. */
const folder = process.argv[2]
if (folder === undefined) {
  process.stderr.write('usage: node src/inference/list-pack/cli.ts FOLDER\n')
  process.exit(2)
}
const file = path.join(folder, manifestName)
const old: unknown = JSON.parse(await readFile(file, 'utf8'))
const listed = manifest.parse({ ...Object(old), files: await listFiles(folder) })
await writeFile(file, `${JSON.stringify(listed, null, 2)}\n`)
process.stdout.write(`${file}: ${listed.files.length} files\n`)
