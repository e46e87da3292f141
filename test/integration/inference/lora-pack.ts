import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { manifestName } from '../../../src/inference/models/manifest.ts'

const loraFile = path.resolve(import.meta.dirname, '../../goldens/data/lora/kohya.safetensors')

/** Writes the pack of a LoRA for the goldens' tiny model below a folder, and says where it is. */
export async function writeLoraPack(below: string): Promise<string> {
  const folder = path.join(below, 'rust')
  await mkdir(folder)
  const bytes = await readFile(loraFile)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  await writeFile(path.join(folder, 'rust.safetensors'), bytes)
  const manifest = {
    schemaVersion: 1,
    type: 'Lora',
    name: 'rust',
    description: '',
    family: 'StableDiffusion1',
    licence: 'Apache-2.0',
    files: [{ path: 'rust.safetensors', sha256, sizeBytes: bytes.length }],
  }
  await writeFile(path.join(folder, manifestName), JSON.stringify(manifest))
  return folder
}
