import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { AppError } from '../../shared/errors.ts'
import { parameters, type PictureTask } from '../../shared/crd/generation-job.ts'
import { type ReadManifest, readLoraManifest } from '../models/manifest.ts'
import { requireMemory } from '../models/memory-need.ts'
import { totalBytes } from '../models/pack-files.ts'
import { parseRequest } from '../pod/parse-request.ts'
import { readRequest } from '../pod/read-request.ts'
import type { GenerateRequest, InputFile, LoraPack } from '../runner/protocol.ts'
import { memoryBudgetBytes } from '../runtime/memory-budget.ts'
import type { CommandLine } from './command-line.ts'

type Typed = Omit<CommandLine, 'model' | 'output'>

/** Reads the files that are named and checks everything against the model. */
export async function readCommand(line: Typed, pack: ReadManifest): Promise<GenerateRequest> {
  const { manifest, digest } = pack
  const given = Object.entries(line.parameters).filter(([, value]) => value !== undefined)
  const seed = { seed: randomInt(2 ** 32) }
  const filled = { ...manifest.defaults, ...seed, ...Object.fromEntries(given) }
  const task = taskOf(line)
  const request = readRequest({ task, parameters: parseRequest(parameters, filled) }, manifest)
  const loras = await Promise.all(line.loras.map(readLoraOption))
  requireMemory(
    manifest,
    { ...request, imagesPerRun: 1, loras: loras.map(({ sizeBytes }) => ({ sizeBytes })) },
    memoryBudgetBytes(),
  )
  const inputs = await readInputFiles(line)
  return { ...request, loras, inputs, model: { name: manifest.name, digest } }
}

function taskOf({ image, mask }: Typed): PictureTask {
  if (mask !== undefined) return 'Inpaint'
  return image === undefined ? 'TextToImage' : 'ImageToImage'
}

async function readInputFiles({ image, mask }: Typed): Promise<readonly InputFile[]> {
  const options = [
    { role: 'Image', field: '--image', file: image },
    { role: 'Mask', field: '--mask', file: mask },
  ] as const
  const inputs: InputFile[] = []
  for (const { role, field, file } of options) {
    if (file !== undefined) inputs.push({ role, field, bytes: await readInput(field, file) })
  }
  return inputs
}

async function readInput(field: string, file: string): Promise<Uint8Array> {
  return await readFile(file).catch((cause: unknown) => {
    throw new AppError('request.invalid', `${field}: ${file} cannot be read`, { cause })
  })
}

/** `FOLDER` or `FOLDER:SCALE`. */
async function readLoraOption(option: string): Promise<LoraPack & { readonly sizeBytes: number }> {
  const [, folder = option, scale = '1'] = /^(.+):(-?[0-9.]+)$/.exec(option) ?? []
  const { manifest, digest } = await readLoraManifest(folder)
  const sizeBytes = totalBytes(manifest.files)
  return { name: manifest.name, folder, scale: Number(scale), digest, sizeBytes }
}
