import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { manifestName, readManifest } from '../../../src/inference/models/manifest.ts'
import { openPackFiles } from '../../../src/inference/models/pack-files.ts'
import {
  closeStableDiffusion,
  openStableDiffusion,
} from '../../../src/inference/pipelines/stable-diffusion.ts'
import { AppError } from '../../../src/shared/errors.ts'

const demo = path.resolve(import.meta.dirname, '../../../models/demo')
let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'atelier-pack-'))
  await cp(demo, folder, { recursive: true })
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function openPack(): Promise<void> {
  const { manifest } = await readManifest(folder)
  const files = await openPackFiles(folder, manifest.files)
  await closeStableDiffusion(await openStableDiffusion(files, 1))
}

async function errorOfOpening(): Promise<AppError> {
  try {
    await openPack()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('the pack was opened')
}

async function changeManifest(change: (text: string) => string): Promise<void> {
  const file = path.join(folder, manifestName)
  await writeFile(file, change(await readFile(file, 'utf8')))
}

describe('a model pack', () => {
  test('opens when all is as its manifest says', async () => {
    await expect(openPack()).resolves.toBeUndefined()
  })

  test('is refused with file and field when a digest differs', async () => {
    await writeFile(path.join(folder, 'tokenizer/merges.txt'), '#version: 0.2\n')
    const error = await errorOfOpening()
    expect(error.code).toBe('model.pack_invalid')
    expect(error.message).toMatch(/^tokenizer\/merges\.txt#files\[\d+\]\.sha256: digest is/)
  })

  test('is refused when a graph was changed by one byte', async () => {
    const file = path.join(folder, 'unet/model.onnx')
    const bytes = await readFile(file)
    bytes[bytes.length - 1] ^= 1
    await writeFile(file, bytes)
    expect((await errorOfOpening()).fields[0].path).toMatch(/^unet\/model\.onnx#files/)
  })

  test('is refused when a component is missing', async () => {
    await rm(path.join(folder, 'vae_decoder/model.onnx'))
    expect((await errorOfOpening()).message).toBe('vae_decoder/model.onnx: the file is missing')
  })

  test('is refused when the manifest leaves out a component', async () => {
    await changeManifest((text) => {
      const manifest = JSON.parse(text)
      const files = manifest.files.filter((file: { path: string }) => !file.path.startsWith('unet'))
      return JSON.stringify({ ...manifest, files })
    })
    expect((await errorOfOpening()).message).toBe('unet/model.onnx: the file is missing')
  })

  test('is refused when a file is a symbolic link', async () => {
    const file = path.join(folder, 'unet/model.onnx')
    await rm(file)
    await symlink(path.join(demo, 'unet/model.onnx'), file)
    expect((await errorOfOpening()).message).toBe('unet/model.onnx: the file is a symbolic link')
  })

  test('is refused when a folder inside it leads out', async () => {
    await rm(path.join(folder, 'unet'), { recursive: true })
    await symlink(path.join(demo, 'unet'), path.join(folder, 'unet'))
    expect((await errorOfOpening()).message).toBe('unet/model.onnx: leads out of its folder')
  })

  test.each(['../secret', '/etc/passwd', 'unet/../../secret', '.hidden', 'unet//model.onnx'])(
    'is refused when its manifest lists %s',
    async (file) => {
      await changeManifest((text) => text.replace('"tokenizer/merges.txt"', JSON.stringify(file)))
      const error = await errorOfOpening()
      expect(error.message).toMatch(
        /^atelier-model\.json#files\[\d+\]\.path: leads out of the pack/,
      )
    },
  )

  test.each([
    ['no JSON', () => '{', 'atelier-model.json: not valid JSON'],
    [
      'another version',
      (text: string) => text.replace('"schemaVersion": 1', '"schemaVersion": 2'),
      'atelier-model.json#schemaVersion',
    ],
    [
      'an unknown task',
      (text: string) => text.replace('"TextToImage"', '"TextToSong"'),
      'atelier-model.json#tasks[0]',
    ],
    [
      'no licence',
      (text: string) => text.replace('"licence"', '"license"'),
      'atelier-model.json#licence',
    ],
  ])('is refused when its manifest has %s', async (_, change, expected) => {
    await changeManifest(change)
    expect((await errorOfOpening()).message).toContain(expected)
  })

  test('is refused without a manifest', async () => {
    await rm(path.join(folder, manifestName))
    expect((await errorOfOpening()).message).toContain('atelier-model.json: is missing in')
  })

  test('is refused when the folder does not exist', async () => {
    await expect(openPackFiles(path.join(folder, 'nowhere'))).rejects.toThrow('does not exist')
  })

  test('is refused when a graph is no graph', async () => {
    await writeFile(path.join(folder, 'unet/model.onnx'), 'not protobuf')
    const files = await openPackFiles(folder)
    await expect(openStableDiffusion(files, 1)).rejects.toThrow(
      'unet/model.onnx: onnxruntime cannot',
    )
  })
})
