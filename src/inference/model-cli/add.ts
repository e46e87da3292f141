import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { lstat, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { checkContents, readAllComponents } from '../models/check-pack.ts'
import { digestFile } from '../models/digest.ts'
import { listModelFiles } from '../models/list-files.ts'
import {
  type AnyManifest,
  manifestName,
  parseManifest,
  readAnyManifest,
} from '../models/manifest.ts'
import { packError } from '../models/pack-error.ts'
import { openPackFiles, type PackFile } from '../models/pack-files.ts'
import { startByteBar } from './byte-bar.ts'
import type { Streams } from './check.ts'
import type { Command } from './command.ts'
import { describeBase, describeLora } from './describe-pack.ts'
import { formatModel, modelResource } from './model-resource.ts'

/** Weights for other programs than this one, and parts that no pipeline here uses. */
const foreign = /^(safety_checker|feature_extractor)\/|\.(bin|ckpt|pt|pth|msgpack|h5|gguf)$/

/**
 * Writes the manifest of a folder and prints the Model resource for it. An existing manifest keeps
 * what people wrote, and gets its list of files and their digests anew.
 * @throws AppError model.pack_invalid when the folder is no pack; then nothing is written.
 */
export async function addPack(command: Command, { stdout, stderr }: Streams): Promise<void> {
  const folder = command.path
  const files = await digestFiles(folder, await chooseFiles(folder), stderr)
  const manifest = parseManifest(await describe(command, files))
  await checkContents(manifest, await openPackFiles(folder, files, { mappedDigests: 'Apart' }))
  const text = `${JSON.stringify(manifest, null, 2)}\n`
  await replaceFile(path.join(folder, manifestName), text)
  stderr.write(`${path.join(folder, manifestName)}: ${files.length} files\n`)
  const resource = modelResource(manifest, {
    digest: createHash('sha256').update(text).digest('hex'),
    folder: path.basename(path.resolve(folder)),
  })
  stdout.write(command.json ? `${JSON.stringify(resource)}\n` : formatModel(resource))
}

/** With graphs the folder is a base model; without any it is a LoRA. */
async function chooseFiles(folder: string): Promise<readonly string[]> {
  const files = (await listModelFiles(folder)).filter((file) => !foreign.test(file))
  if (files.length === 0) throw packError({ file: folder }, 'holds no files of a model')
  const graphs = files.some((file) => file.endsWith('.onnx'))
  return files.filter((file) => !graphs || !file.endsWith('.safetensors'))
}

async function digestFiles(
  folder: string,
  files: readonly string[],
  stream: Streams['stderr'],
): Promise<readonly PackFile[]> {
  const sizes = await Promise.all(files.map((file) => sizeOf(folder, file)))
  const bar = startByteBar(
    stream,
    sizes.reduce((sum, size) => sum + size, 0),
  )
  const listed: PackFile[] = []
  for (const [index, file] of files.entries()) {
    const sha256 = await digestFile(path.join(folder, file), { onBytes: bar.add })
    listed.push({ path: file, sha256, sizeBytes: sizes[index] })
  }
  bar.end()
  return listed
}

async function sizeOf(folder: string, file: string): Promise<number> {
  const found = await lstat(path.join(folder, file))
  if (found.isFile()) return found.size
  throw packError({ file }, 'the file is a symbolic link; a pack holds real files only')
}

/** What people said before, then what they say now, else what the folder itself says. */
async function describe(command: Command, files: readonly PackFile[]): Promise<unknown> {
  const said = {
    ...(command.name !== undefined && { name: command.name }),
    ...(command.licence !== undefined && { licence: command.licence }),
    ...(command.family !== undefined && { family: command.family }),
    ...(command.description !== undefined && { description: command.description }),
  }
  if (!command.force && existsSync(path.join(command.path, manifestName))) {
    const { manifest } = await readAnyManifest(command.path)
    return { ...manifest, ...said, files }
  }
  if (command.licence === undefined) {
    const problem = 'say under which licence the weights are, such as --licence Apache-2.0'
    throw packError({ file: manifestName, field: 'licence' }, problem)
  }
  return { ...(await detect(command, files)), ...said, files }
}

async function detect(
  command: Command,
  files: readonly PackFile[],
): Promise<Omit<AnyManifest, 'licence'>> {
  const name = path.basename(path.resolve(command.path)).toLowerCase()
  const common = { schemaVersion: 1 as const, name, description: '', files: [...files] }
  if (!files.some((file) => file.path.endsWith('.onnx'))) {
    return { ...common, ...describeLora(command) }
  }
  const pack = await openPackFiles(command.path, files, { mappedDigests: 'Apart' })
  const components = await readAllComponents(pack, files)
  return { ...common, ...(await describeBase({ command, pack, components })) }
}

/** All of it or none: a pod may read the manifest at any time. */
async function replaceFile(file: string, text: string): Promise<void> {
  const written = `${file}.new`
  await writeFile(written, text)
  await rename(written, file)
}
