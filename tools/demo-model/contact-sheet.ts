/**
 * Draws the contact sheets of docs/demo-model.md with the demo model and the engine itself:
 * `node tools/demo-model/contact-sheet.ts [PACK] [FOLDER]`. Seeds are fixed, so they change only
 * with the weights or the engine.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import sharp from 'sharp'
import type { Mask } from '../../src/inference/images/mask.ts'
import type { Picture } from '../../src/inference/images/picture.ts'
import { readManifest } from '../../src/inference/models/manifest.ts'
import { openPackFiles } from '../../src/inference/models/pack-files.ts'
import { generateImages } from '../../src/inference/pipelines/generate-images.ts'
import { closeModel, type DiffusionModel, openModel } from '../../src/inference/pipelines/model.ts'
import type { ImageRequest } from '../../src/inference/pipelines/request.ts'

const side = 64
const gap = 2
const materials = ['metal', 'wood', 'fabric', 'leather', 'concrete']
const defects = ['scratch', 'dent', 'stain', 'crack', 'hole', 'no defect']
const strengths = [0.2, 0.4, 0.6, 0.8, 1]
const usual = {
  width: side,
  height: side,
  steps: 20,
  guidanceScale: 3,
  scheduler: 'DPM++ 2M Karras',
  seed: 1,
  images: 1,
  promptSyntax: 'Plain',
  promptOverflow: 'Chunk',
  loras: [],
} as const

type Rows = readonly (readonly Picture[])[]

/** Rows are materials, columns defects. */
async function drawDefects(model: DiffusionModel): Promise<Rows> {
  return mapInOrder(materials, (material) =>
    mapInOrder(defects, (defect) =>
      draw(model, { ...usual, task: 'TextToImage', prompt: words(defect, material) }),
    ),
  )
}

/** A flawless surface, then the same with a defect at growing strengths. */
async function drawStrengths(model: DiffusionModel): Promise<Rows> {
  const pairs = [
    ['metal', 'hole'],
    ['wood', 'stain'],
    ['concrete', 'crack'],
  ] as const
  return mapInOrder(pairs, async ([material, defect]) => {
    const image = await flawless(model, material)
    const prompt = words(defect, material)
    const changed = await mapInOrder(strengths, (strength) =>
      draw(model, { ...usual, seed: 5, task: 'ImageToImage', prompt, image, strength }),
    )
    return [image, ...changed]
  })
}

/** For two materials a row of inputs, one of masks and one of results; columns are defects. */
async function drawRepaints(model: DiffusionModel): Promise<Rows> {
  const blocks = await mapInOrder(['metal', 'wood'], async (material) => {
    const surface = await flawless(model, material)
    const masks = defects.map((defect) => maskFor(defect))
    const inputs: Picture[] = []
    const results: Picture[] = []
    for (const [i, defect] of defects.entries()) {
      // "no defect" comes last and repairs the hole that was painted before it.
      const image = defect === 'no defect' ? results[i - 1] : surface
      const prompt = words(defect, material)
      inputs.push(image)
      results.push(await draw(model, { ...usual, task: 'Inpaint', prompt, image, mask: masks[i] }))
    }
    return [inputs, masks.map(seen), results]
  })
  return blocks.flat()
}

function words(defect: string, material: string): string {
  return defect === 'no defect'
    ? `${defect} on ${material}`
    : `a photo of a ${defect} on ${material}`
}

async function flawless(model: DiffusionModel, material: string): Promise<Picture> {
  return draw(model, {
    ...usual,
    seed: 4,
    task: 'TextToImage',
    prompt: words('no defect', material),
  })
}

async function draw(model: DiffusionModel, request: ImageRequest): Promise<Picture> {
  const pictures: Picture[] = []
  await generateImages(model, request, {
    signal: AbortSignal.timeout(60_000),
    events: {
      onStage: () => undefined,
      onModelCall: () => undefined,
      onPicture: (picture) => void pictures.push(picture),
    },
  })
  return pictures[0]
}

/** Scratches and cracks get a slanted band, the rest a disc. */
function maskFor(defect: string): Mask {
  const isLine = defect === 'scratch' || defect === 'crack'
  const values = Uint8Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [(i % side) - 36, Math.floor(i / side) - 28]
    const isInside = isLine ? Math.abs(x + 3 * y) < 24 && Math.abs(x) < 24 : x * x + y * y < 17 ** 2
    return isInside ? 255 : 0
  })
  return { width: side, height: side, values }
}

function seen({ values, ...size }: Mask): Picture {
  return {
    ...size,
    pixels: Uint8Array.from({ length: values.length * 3 }, (_, i) => values[Math.floor(i / 3)]),
  }
}

/** A PNG with a palette, a third of the size of one with full colours. */
async function writeSheet(rows: Rows, file: string): Promise<void> {
  const step = side + gap
  const columns = Math.max(...rows.map((row) => row.length))
  const tiles = rows.flatMap((row, y) =>
    row.map(({ pixels, width, height }, x) => ({
      input: Buffer.from(pixels),
      raw: { width, height, channels: 3 as const },
      left: x * step,
      top: y * step,
    })),
  )
  const canvas = {
    width: columns * step - gap,
    height: rows.length * step - gap,
    channels: 3 as const,
    background: 'white',
  }
  const sheet = sharp({ create: canvas }).composite(tiles)
  await writeFile(file, await sheet.png({ palette: true, colours: 256, effort: 10 }).toBuffer())
}

async function mapInOrder<Item, Result>(
  items: readonly Item[],
  make: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  for (const item of items) results.push(await make(item))
  return results
}

async function main(pack = 'models/demo', folder = 'docs/images'): Promise<void> {
  const { manifest } = await readManifest(pack)
  const model = await openModel(await openPackFiles(pack, manifest.files), { threads: 2 })
  const sheets = {
    'demo-defects.png': drawDefects,
    'demo-strength.png': drawStrengths,
    'demo-inpaint.png': drawRepaints,
  }
  await mkdir(folder, { recursive: true })
  for (const [name, drawRows] of Object.entries(sheets)) {
    await writeSheet(await drawRows(model), path.join(folder, name))
  }
  await closeModel(model)
}

if (import.meta.main) await main(...process.argv.slice(2))
