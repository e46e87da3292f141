import { createHash } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { listModelFiles } from '../../../src/inference/models/list-files.ts'
import { type Manifest, manifestName } from '../../../src/inference/models/manifest.ts'

const models = path.resolve(import.meta.dirname, '../../goldens/data/models')
const side = { min: 32, max: 96, multipleOf: 8 }

/** A copy of one of the goldens' tiny models, with a manifest of what is in it now. */
export type TestPack = {
  readonly folder: string
  readonly list: (changes?: Partial<Manifest>) => Promise<void>
  readonly write: (file: string, content: string | Uint8Array) => Promise<void>
  readonly change: (file: string, change: (text: string) => string) => Promise<void>
  readonly remove: () => Promise<void>
}

export async function makePack(model = 'tiny-sd'): Promise<TestPack> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atelier-pack-'))
  await cp(path.join(models, model), folder, { recursive: true })
  await Promise.all(['json', 'bin'].map((end) => rm(path.join(folder, `components.${end}`))))
  const write = (file: string, content: string | Uint8Array) =>
    writeFile(path.join(folder, file), content)
  const list = async (changes: Partial<Manifest> = {}) => {
    const manifest: Manifest = {
      schemaVersion: 1,
      type: 'Base',
      name: 'tiny',
      description: '',
      licence: 'Apache-2.0',
      family: 'StableDiffusion1',
      tasks: ['TextToImage'],
      defaults: {},
      sizes: { width: side, height: side },
      memory: { loadedBytes: 1, perMegapixelBytes: 1 },
      files: await listFiles(folder),
      ...changes,
    }
    await write(manifestName, JSON.stringify(manifest))
  }
  await list()
  return {
    folder,
    list,
    write,
    change: async (file, change) =>
      write(file, change(await readFile(path.join(folder, file), 'utf8'))),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

async function listFiles(folder: string): Promise<Manifest['files']> {
  const files = await listModelFiles(folder)
  return Promise.all(
    files.map(async (file) => {
      const bytes = await readFile(path.join(folder, file))
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      return { path: file, sha256, sizeBytes: bytes.length }
    }),
  )
}
