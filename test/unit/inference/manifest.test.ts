import { writeFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  manifestName,
  readLoraManifest,
  readManifest,
} from '../../../src/inference/models/manifest.ts'
import { makePack, type TestPack } from './pack-builder.ts'

let pack: TestPack
beforeEach(async () => {
  pack = await makePack()
})
afterEach(() => pack.remove())

async function readChanged(change: object): Promise<unknown> {
  const { manifest } = await readManifest(pack.folder)
  await pack.write(manifestName, JSON.stringify({ ...manifest, ...change }))
  return readManifest(pack.folder)
}

const file = { sha256: '0'.repeat(64), sizeBytes: 1 }

describe('a manifest', () => {
  test('is known by the digest of its own bytes', async () => {
    const first = await readManifest(pack.folder)
    await pack.change(manifestName, (text) => `${text}\n`)
    const second = await readManifest(pack.folder)
    expect(second.manifest).toEqual(first.manifest)
    expect(second.digest).not.toBe(first.digest)
  })

  test('may say how latents look', async () => {
    const preview = { rgbFactors: [[1, 0, -1]], rgbBias: [0, 0.5, 0] }
    await expect(readChanged({ preview })).resolves.toMatchObject({ manifest: { preview } })
  })

  test.each(['../secret', '/etc/passwd', 'unet/../../secret', '.hidden', 'unet//model.onnx'])(
    'is refused when it lists %s',
    async (name) => {
      const refused = readChanged({ files: [{ ...file, path: name }] })
      await expect(refused).rejects.toThrow('#files[0].path: leads out of the pack')
    },
  )

  test.each([
    ['another version', { schemaVersion: 2 }, '#schemaVersion'],
    ['no type', { type: undefined }, '#type'],
    ['an unknown type', { type: 'Embedding' }, '#type'],
    ['an unknown task', { tasks: ['TextToSong'] }, '#tasks[0]'],
    ['a name that no resource can have', { name: 'My Model' }, '#name'],
    ['a licence in prose', { licence: 'ask the author' }, '#licence: must be an SPDX'],
    ['no licence', { licence: undefined }, '#licence'],
    ['memory as one number', { memory: 1 }, '#memory'],
    ['negative memory', { memory: { loadedBytes: -1, perMegapixelBytes: 1 } }, '#memory.loaded'],
    ['two colours', { preview: { rgbFactors: [[1, 2]], rgbBias: [0, 0, 0] } }, '#preview.rgbF'],
    ['a field it does not know', { memoryBytes: 1 }, '"memoryBytes"'],
    ['no files', { files: [] }, '#files'],
    [
      'a digest in capitals',
      { files: [{ ...file, path: 'a', sha256: 'A'.repeat(64) }] },
      '.sha256',
    ],
    [
      'a file twice',
      {
        files: [
          { ...file, path: 'a' },
          { ...file, path: 'a' },
        ],
      },
      '#files[1].path: is listed twice',
    ],
  ])('is refused with the field when it has %s', async (_, change, expected) => {
    await expect(readChanged(change)).rejects.toThrow(expected)
  })

  test.each([
    'Apache-2.0',
    'MIT OR Apache-2.0',
    'LicenseRef-OpenRAIL-M',
    'GPL-3.0+ WITH Classpath',
  ])('may be under %s', async (licence) => {
    await expect(readChanged({ licence })).resolves.toMatchObject({ manifest: { licence } })
  })

  test('is refused when it is no JSON, and when it is missing', async () => {
    await writeFile(path.join(pack.folder, manifestName), '{')
    await expect(readManifest(pack.folder)).rejects.toThrow('atelier-model.json: not valid JSON')
    await rm(path.join(pack.folder, manifestName))
    await expect(readManifest(pack.folder)).rejects.toThrow('atelier-model.json: is missing in')
  })

  test('of a base model is not read as a LoRA', async () => {
    await expect(readLoraManifest(pack.folder)).rejects.toThrow('#type: is Base')
  })
})
