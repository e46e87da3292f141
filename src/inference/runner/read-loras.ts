import { loraFileOf } from '../models/check-pack.ts'
import { manifestName, readLoraManifest } from '../models/manifest.ts'
import { packError } from '../models/pack-error.ts'
import { openPackFiles } from '../models/pack-files.ts'
import { readLora } from '../lora/read-lora.ts'
import type { AppliedLora } from '../pipelines/request.ts'
import type { LoraPack } from './protocol.ts'

/** Reads the packs of a job's LoRAs, in order. @throws AppError model.pack_invalid */
export async function readLoras(packs: readonly LoraPack[]): Promise<readonly AppliedLora[]> {
  const loras: AppliedLora[] = []
  for (const pack of packs) loras.push(await readPack(pack))
  return loras
}

async function readPack({ name, scale, folder, digest }: LoraPack): Promise<AppliedLora> {
  const { manifest, digest: actual } = await readLoraManifest(folder)
  if (digest !== undefined && digest !== actual) {
    throw packError(
      { file: manifestName },
      `digest is ${actual}, the Model ${name} wants ${digest}`,
    )
  }
  const files = await openPackFiles(folder, manifest.files)
  const file = loraFileOf(manifest)
  return { name, scale, lora: readLora(await files.read(file), file) }
}
