import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { runModelCommand } from '../../../src/inference/model-cli/run.ts'
import { modelSpec } from '../../../src/shared/crd/model.ts'

const goldens = path.resolve(import.meta.dirname, '../../goldens/data')
let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'atelier-model-'))
  await cp(path.join(goldens, 'models/tiny-sd'), path.join(folder, 'tiny'), { recursive: true })
})
afterEach(() => rm(folder, { recursive: true, force: true }))

type End = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** What `npm run model -- …` does, without a process for each time. */
async function model(...args: readonly string[]): Promise<End> {
  const [stdout, stderr] = [new Collected(), new Collected()]
  const code = await runModelCommand(args, { stdout, stderr })
  return { code, stdout: stdout.text, stderr: stderr.text }
}

class Collected {
  text = ''
  write(text: string): void {
    this.text += text
  }
}

async function modelProcess(...args: readonly string[]): Promise<End> {
  return new Promise((resolve) => {
    const command = ['src/inference/model-cli/cli.ts', ...args]
    execFile(process.execPath, command, (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1
      resolve({ code, stdout, stderr })
    })
  })
}

const inFolder = (...names: readonly string[]) => path.join(folder, ...names)
const add = (...args: readonly string[]) =>
  model('add', inFolder('tiny'), '--licence', 'Apache-2.0', ...args)

async function readManifestOf(name: string) {
  return JSON.parse(await readFile(inFolder(name, 'atelier-model.json'), 'utf8'))
}

describe('npm run model -- add', () => {
  test('writes the manifest of an exported folder and prints its Model', async () => {
    const { code, stdout, stderr } = await add('--description', 'Noise.')
    expect({ code, stderr }).toMatchObject({ code: 0 })
    const manifest = await readManifestOf('tiny')
    expect(manifest).toMatchObject({
      type: 'Base',
      name: 'tiny',
      family: 'StableDiffusion1',
      tasks: ['TextToImage', 'ImageToImage', 'Inpaint'],
      defaults: { width: 64, height: 64 },
      sizes: { width: { min: 32, max: 96, multipleOf: 8 } },
    })
    const resource = parse(stdout)
    expect(modelSpec.parse(resource.spec)).toMatchObject({
      description: 'Noise.',
      family: 'StableDiffusion1',
      sizes: manifest.sizes,
    })
    expect(stdout).toContain('micro-credits')
  }, 30_000)

  test('makes a pack that check takes, and whose digest the Model names', async () => {
    const added = await add('--json')
    const checked = await model('check', inFolder('tiny'), '--json')
    expect(checked.code).toBe(0)
    expect(JSON.parse(checked.stdout).digest).toBe(JSON.parse(added.stdout).spec.digest)
  }, 30_000)

  test('keeps what people wrote when files change, and forgets it with --force', async () => {
    await add('--description', 'By hand.')
    await writeFile(inFolder('tiny/unet/config.json'), '{"sample_size":32}')
    expect((await model('check', inFolder('tiny'))).code).toBe(1)
    expect((await model('add', inFolder('tiny'))).code).toBe(0)
    expect(await readManifestOf('tiny')).toMatchObject({
      description: 'By hand.',
      defaults: { width: 64 },
    })
    expect((await model('check', inFolder('tiny'))).code).toBe(0)
    await add('--force')
    expect(await readManifestOf('tiny')).toMatchObject({
      description: '',
      defaults: { width: 128 },
    })
  }, 60_000)

  test.each([
    ['tiny-sdxl', 'StableDiffusionXL', ['TextToImage', 'ImageToImage', 'Inpaint']],
    ['tiny-sd-inpaint', 'StableDiffusion1', ['Inpaint']],
  ])(
    'detects what %s is',
    async (name, family, tasks) => {
      await cp(path.join(goldens, 'models', name), inFolder(name), { recursive: true })
      const { stdout } = await model('add', inFolder(name), '--licence', 'MIT', '--json')
      expect(JSON.parse(stdout).spec).toMatchObject({ family, tasks, licence: 'MIT' })
    },
    30_000,
  )

  test('takes a folder with one LoRA once its family is said', async () => {
    await mkdir(inFolder('rust'))
    await cp(path.join(goldens, 'lora/kohya.safetensors'), inFolder('rust/rust.safetensors'))
    const first = await model('add', inFolder('rust'), '--licence', 'MIT')
    expect(first).toMatchObject({ code: 1, stdout: '' })
    expect(first.stderr).toContain('--family')
    const args = ['--licence', 'MIT', '--family', 'StableDiffusion1', '--json']
    const { stdout } = await model('add', inFolder('rust'), ...args)
    const { spec } = JSON.parse(stdout)
    expect(spec).toMatchObject({ type: 'Lora', price: { perImageMicroCredits: 0 } })
    expect(modelSpec.safeParse(spec).success).toBe(true)
  }, 30_000)

  test.each([
    ['without a licence', [], /#licence: say under which/],
    ['with a licence in prose', ['--licence', 'do what you want'], /#licence: must be an SPDX/],
    [
      'with another family',
      ['--licence', 'MIT', '--family', 'StableDiffusionXL'],
      /text_encoder_2/,
    ],
    ['with a family nobody knows', ['--licence', 'MIT', '--family', 'Flux'], /#family/],
    ['with FlowMatch', ['--licence', 'MIT', '--family', 'FlowMatch'], /transformer/],
  ])(
    'refuses a folder %s and writes nothing',
    async (_, args, expected) => {
      const { code, stdout, stderr } = await model('add', inFolder('tiny'), ...args)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(expected)
      await expect(readManifestOf('tiny')).rejects.toThrow('ENOENT')
    },
    30_000,
  )

  test('refuses links by name', async () => {
    await rm(inFolder('tiny/unet/model.onnx'))
    await symlink(
      path.join(goldens, 'models/tiny-sd/unet/model.onnx'),
      inFolder('tiny/unet/model.onnx'),
    )
    const { code, stderr } = await add()
    expect(code).toBe(1)
    expect(stderr).toContain('unet/model.onnx: the file is a symbolic link')
  })
})

describe('npm run model -- check', () => {
  test('prints what a pack is and what it needs', async () => {
    const { code, stdout, stderr } = await modelProcess('check', 'models/demo')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const part of ['StableDiffusion1', 'unet', 'opset', 'MiB loaded', 'on this machine']) {
      expect(stdout).toContain(part)
    }
  })

  test('warns of files that are not listed', async () => {
    await add()
    await writeFile(inFolder('tiny/unet/stray.bin'), 'x')
    const { code, stderr } = await model('check', inFolder('tiny'))
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: [
        'warning: components.bin is not in the manifest’s files; it will never be read\n',
        'warning: unet/stray.bin is not in the manifest’s files; it will never be read\n',
      ].join(''),
    })
  }, 30_000)

  test.each([
    ['here', model],
    ['as a process', modelProcess],
  ])(
    'prints the one thing that is wrong, %s',
    async (_, run) => {
      await add()
      await rm(inFolder('tiny/unet/model.onnx'))
      expect(await run('check', inFolder('tiny'))).toEqual({
        code: 1,
        stdout: '',
        stderr: 'unet/model.onnx: the file is missing\n',
      })
    },
    30_000,
  )
})

describe('npm run model -- list', () => {
  test('finds the packs below a folder', async () => {
    await add()
    const { code, stdout } = await model('list', folder, '--json')
    expect(code).toBe(0)
    const { sizeBytes, digest, ...row } = JSON.parse(stdout)[0]
    expect(row).toEqual({
      folder: inFolder('tiny'),
      name: 'tiny',
      type: 'Base',
      family: 'StableDiffusion1',
    })
    expect(sizeBytes).toBeGreaterThan(1_000_000)
    expect((await model('list', folder)).stdout).toContain(digest)
  }, 30_000)

  test('names a broken one and still lists the others', async () => {
    await add()
    await mkdir(inFolder('broken'))
    await writeFile(inFolder('broken/atelier-model.json'), '{}')
    const { code, stdout, stderr } = await model('list', folder)
    expect(code).toBe(1)
    expect(stdout).toContain('tiny')
    expect(stderr).toContain(`${inFolder('broken')}: atelier-model.json#`)
  }, 30_000)
})

describe('npm run model', () => {
  test.each([
    ['nothing', [], 'say one of check, add, list'],
    ['an unknown verb', ['remove', 'models'], 'say one of'],
    ['two paths', ['check', 'a', 'b'], 'takes one PATH'],
    ['an unknown option', ['check', 'a', '--quick'], '--quick'],
    ['an option of another verb', ['check', 'a', '--force'], '--force is for add only'],
  ])('refuses %s with its usage', async (_, args, problem) => {
    const { code, stdout, stderr } = await model(...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(problem)
    expect(stderr).toContain('npm run model -- add PATH')
  })

  test('helps on standard output', async () => {
    const { code, stdout, stderr } = await modelProcess('--help')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('npm run model -- check PATH')
  })
})
