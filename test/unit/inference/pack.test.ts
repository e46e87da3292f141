import { cp, rename, rm, symlink, truncate } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkPack } from '../../../src/inference/models/check-pack.ts'
import { manifestName, readManifest } from '../../../src/inference/models/manifest.ts'
import { openPackFiles, type PackFiles } from '../../../src/inference/models/pack-files.ts'
import { closeModel, openModel } from '../../../src/inference/pipelines/model.ts'
import { AppError } from '../../../src/shared/errors.ts'
import { makePack, type TestPack } from './pack-builder.ts'

/** Graphs of one node: of an unknown domain, with weights outside, with weights beside it. */
const graphs = {
  foreign:
    'CAk6QgobCgF4EgF5GgRub2RlIgNSdW46CGV2aWwub3BzEgFnWg8KAXgSCgoICAESBAoCCAFiDwoBeRIKCggIARIE' +
    'CgIIAUIECgAQEkIMCghldmlsLm9wcxAB',
  escaping:
    'CAk6VwoOCgF4CgF3EgF5IgNBZGQSAWcqIAgBEAFCAXdqFQoIbG9jYXRpb24SCS4uL3NlY3JldHABWg8KAXgSCgoI' +
    'CAESBAoCCAFiDwoBeRIKCggIARIECgIIAUIECgAQEkIMCghldmlsLm9wcxAB',
  external:
    'CAk6WQoOCgF4CgF3EgF5IgNBZGQSAWcqIggBEAFCAXdqFwoIbG9jYXRpb24SC3dlaWdodHMuYmlucAFaDwoBeBIK' +
    'CggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggBQgQKABASQgwKCGV2aWwub3BzEAE=',
}
const bytesOf = (graph: keyof typeof graphs) => Buffer.from(graphs[graph], 'base64')

let pack: TestPack
beforeEach(async () => {
  pack = await makePack()
})
afterEach(() => pack.remove())

async function load(): Promise<void> {
  const { manifest } = await readManifest(pack.folder)
  const files = await openPackFiles(pack.folder, manifest.files)
  await closeModel(await openModel(files, { threads: 1 }))
}

async function errorOf(action: () => Promise<unknown>): Promise<AppError> {
  try {
    await action()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('the pack was taken')
}

async function refusal(): Promise<string> {
  const error = await errorOf(() => checkPack(pack.folder))
  expect(error.code).toBe('model.pack_invalid')
  return error.message
}

describe('a model pack', () => {
  test('opens when all is as its manifest says', async () => {
    await expect(load()).resolves.toBeUndefined()
  })

  test('is described by its graphs', async () => {
    const { components, unlistedFiles } = await checkPack(pack.folder)
    const shown = components.map(({ name, opset, inputs }) => [name, opset, inputs[0].name])
    expect(shown).toEqual([
      ['text_encoder', 18, 'input_ids'],
      ['unet', 18, 'sample'],
      ['vae_decoder', 18, 'latent_sample'],
      ['vae_encoder', 18, 'sample'],
    ])
    expect(unlistedFiles).toEqual([])
  })

  test('names files that its manifest leaves out, and never reads them', async () => {
    await pack.write('unet/extra.bin', 'x')
    await pack.write('README.md', 'for people')
    expect((await checkPack(pack.folder)).unlistedFiles).toEqual(['unet/extra.bin'])
    const { manifest } = await readManifest(pack.folder)
    const files = await openPackFiles(pack.folder, manifest.files)
    await expect(files.read('unet/extra.bin')).rejects.toThrow('the manifest does not list')
  })

  test('is read without a manifest too, but never through links', async () => {
    const files = await openPackFiles(pack.folder)
    expect((await files.read('model_index.json')).length).toBeGreaterThan(0)
    await symlink('/etc/passwd', path.join(pack.folder, 'unet/link.json'))
    await expect(files.read('unet/link.json')).rejects.toThrow('is a symbolic link')
  })

  test('may hold the infinity that Python writes into settings', async () => {
    const settings = '{"lambda_min_clipped": -Infinity, "note": "a -Infinity in a text"}'
    await pack.write('scheduler/scheduler_config.json', settings)
    const files = await openPackFiles(pack.folder)
    expect(await files.readJson('scheduler/scheduler_config.json')).toEqual({
      lambda_min_clipped: '-inf',
      note: 'a -Infinity in a text',
    })
  })

  test.each([
    ['when it is checked', () => checkPack(pack.folder)],
    ['when it is loaded', () => load()],
  ])('is refused with file and field when a digest differs, %s', async (_, action) => {
    await pack.change('tokenizer/merges.txt', (text) => text.replace('0.2', '0.3'))
    const error = await errorOf(action)
    expect(error.message).toMatch(/^tokenizer\/merges\.txt#files\[\d+\]\.sha256: digest is/)
    expect(error.fields[0].path).toMatch(/^tokenizer\/merges\.txt#files/)
  })

  test.each([
    ['when it is checked', () => checkPack(pack.folder)],
    ['when it is loaded', () => load()],
  ])('is refused when a file has another size, before it is read, %s', async (_, action) => {
    // A sparse file: larger than anything that could be read into memory here.
    await truncate(path.join(pack.folder, 'unet/model.onnx'), 2 ** 36)
    expect((await errorOf(action)).message).toMatch(/^unet\/model\.onnx.* 68719476736 bytes/)
  })

  test('is refused when a graph has more than 2 GiB', async () => {
    await truncate(path.join(pack.folder, 'unet/model.onnx'), 2 ** 31 + 1)
    const files = await openPackFiles(pack.folder)
    await expect(files.read('unet/model.onnx')).rejects.toThrow('weights in another file')
  })

  test('is refused when a file is missing', async () => {
    await rm(path.join(pack.folder, 'vae_decoder/model.onnx'))
    expect(await refusal()).toBe('vae_decoder/model.onnx: the file is missing')
    await expect(load()).rejects.toThrow('vae_decoder/model.onnx: the file is missing')
  })

  test('is refused when a file is a symbolic link', async () => {
    const file = path.join(pack.folder, 'unet/model.onnx')
    await rename(file, `${file}.real`)
    await symlink(`${file}.real`, file)
    expect(await refusal()).toBe('unet/model.onnx: the file is a symbolic link')
  })

  test('is refused when a folder inside it leads out', async () => {
    const outside = await makePack()
    await rm(path.join(pack.folder, 'unet'), { recursive: true })
    await symlink(path.join(outside.folder, 'unet'), path.join(pack.folder, 'unet'))
    expect(await refusal()).toMatch(/^unet\/[a-z.]+: leads out of its folder$/)
    await outside.remove()
  })

  test('is refused when the folder does not exist', async () => {
    await expect(openPackFiles(path.join(pack.folder, 'nowhere'))).rejects.toThrow('not exist')
  })

  test('is read from a folder that is itself behind a link', async () => {
    const link = `${pack.folder}-link`
    await symlink(pack.folder, link)
    await expect(checkPack(link)).resolves.toMatchObject({ unlistedFiles: [] })
    await rm(link)
  })
})

describe('a graph of a pack', () => {
  test.each([
    ['is no protobuf', 'not protobuf', /^unet\/model\.onnx/],
    ['has an operator of an unknown domain', bytesOf('foreign'), /^unet\/model\.onnx.*evil\.ops/],
    ['keeps weights outside', bytesOf('escaping'), /^unet\/model\.onnx.*\.\.\/secret/],
    [
      'keeps weights in a file that is not listed',
      bytesOf('external'),
      /^unet\/model\.onnx#external_data: keeps weights in unet\/weights\.bin/,
    ],
  ])('is refused when it %s', async (_, content, expected) => {
    await pack.write('unet/model.onnx', content)
    await pack.list()
    expect(await refusal()).toMatch(expected)
    await expect(load()).rejects.toThrow(expected)
  })

  test('is refused when its weights end before it says', async () => {
    await pack.write('unet/model.onnx', bytesOf('external'))
    await pack.write('unet/weights.bin', new Uint8Array(3))
    await pack.list()
    expect(await refusal()).toMatch(/^unet\/model\.onnx.*external data end at byte 4/)
  })
})

async function open(mappedDigests: 'Here' | 'Apart'): Promise<PackFiles> {
  const { manifest } = await readManifest(pack.folder)
  return openPackFiles(pack.folder, manifest.files, { mappedDigests })
}

describe('weights that are verified apart', () => {
  beforeEach(async () => {
    await pack.write('unet/weights.bin', new Uint8Array(4))
    await pack.list()
    await pack.write('unet/weights.bin', new Uint8Array(4).fill(1))
  })

  test('are not read when the component opens, and refused by verify', async () => {
    const files = await open('Apart')
    await expect(files.verifyMapped('unet')).resolves.toBeUndefined()
    await expect(files.verify('Mapped')).rejects.toThrow(/^unet\/weights\.bin#files/)
  })

  test('are refused when the component opens otherwise', async () => {
    const files = await open('Here')
    await expect(files.verifyMapped('unet')).rejects.toThrow(/^unet\/weights\.bin#files/)
  })

  test('stop being read when the caller gives up', async () => {
    const files = await open('Apart')
    const signal = AbortSignal.abort()
    await expect(files.verify('Mapped', { signal })).rejects.toThrow('abort')
  })

  test('tell how many bytes were read', async () => {
    const files = await open('Apart')
    const pieces: number[] = []
    await files
      .verify('Mapped', { onBytes: (count) => void pieces.push(count) })
      .catch(() => undefined)
    expect(pieces).toEqual([4])
  })
})

describe('a family', () => {
  test.each([
    [
      'StableDiffusion1 with the UNet of XL',
      { model: 'tiny-sdxl', field: 'family', family: 'StableDiffusion1' },
    ],
    [
      'LatentConsistency without guidance',
      { model: 'tiny-sd', field: 'family', family: 'LatentConsistency' },
    ],
    ['FlowMatch', { model: 'tiny-sd', field: 'family', family: 'FlowMatch' }],
    ['an unknown one', { model: 'tiny-sd', field: 'family', family: 'StableDiffusion9' }],
    ['a task of another engine', { model: 'tiny-sd', field: 'tasks[0]', tasks: ['Upscale'] }],
    [
      'text to image by an inpainting UNet',
      { model: 'tiny-sd-inpaint', field: 'tasks[1]', tasks: ['Inpaint', 'TextToImage'] },
    ],
  ])('is refused: %s', async (_, change) => {
    const { model, field, ...changes } = change
    await pack.remove()
    pack = await makePack(model)
    const { manifest } = await readManifest(pack.folder)
    await pack.write(manifestName, JSON.stringify({ ...manifest, ...changes }))
    expect(await refusal()).toMatch(`${manifestName}#${field}: `)
  })

  test('XL needs its second text encoder', async () => {
    await pack.list({ family: 'StableDiffusionXL' })
    expect(await refusal()).toMatch(/^text_encoder_2\/model\.onnx: the file is missing/)
  })

  test.each(['ImageToImage', 'Inpaint'] as const)('%s needs the encoder', async (task) => {
    await rm(path.join(pack.folder, 'vae_encoder'), { recursive: true })
    await pack.list()
    await expect(checkPack(pack.folder)).resolves.toBeDefined()
    await pack.list({ tasks: [task] })
    expect(await refusal()).toMatch(/^vae_encoder\/model\.onnx: the file is missing/)
  })
})

async function list(change: object = {}): Promise<void> {
  await pack.list()
  const { manifest } = await readManifest(pack.folder)
  const { schemaVersion, name, description, licence, family, files } = manifest
  const lora = { schemaVersion, name, description, licence, family, files, type: 'Lora' }
  await pack.write(manifestName, JSON.stringify({ ...lora, ...change }))
}

describe('a LoRA pack', () => {
  const file = path.resolve(import.meta.dirname, '../../goldens/data/lora/peft.safetensors')
  beforeEach(async () => {
    for (const name of ['unet', 'vae_decoder', 'vae_encoder', 'text_encoder', 'tokenizer']) {
      await rm(path.join(pack.folder, name), { recursive: true })
    }
    await rm(path.join(pack.folder, 'scheduler'), { recursive: true })
    await rm(path.join(pack.folder, 'model_index.json'))
    await cp(file, path.join(pack.folder, 'style.safetensors'))
  })

  test('is taken when its file is one of a LoRA', async () => {
    await list({ triggerWords: ['rusty'] })
    await expect(checkPack(pack.folder)).resolves.toMatchObject({ components: [] })
  })

  test('is refused when it says more than a LoRA can', async () => {
    await list({ tasks: ['TextToImage'] })
    expect(await refusal()).toContain('"tasks"')
  })

  test('is refused with two files of weights', async () => {
    await cp(file, path.join(pack.folder, 'other.safetensors'))
    await list()
    expect(await refusal()).toBe(
      'atelier-model.json#files: a LoRA has exactly one .safetensors file',
    )
  })

  test('is refused when the file is none', async () => {
    await pack.write('style.safetensors', 'nothing')
    await list()
    expect(await refusal()).toMatch(/^style\.safetensors/)
  })

  test('is not taken for a base model', async () => {
    await list()
    await expect(readManifest(pack.folder)).rejects.toThrow('#type: is Lora')
  })
})
