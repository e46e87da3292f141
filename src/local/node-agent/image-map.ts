import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { AppError } from '../../shared/errors.ts'
import { type Simulation, simulatedImage } from './simulation/simulation.ts'

const absolutePath = z.string().startsWith('/')

const imageEntry = z.strictObject({
  /** What the image's entry point would be. A container's `command` replaces it. */
  command: z.array(z.string().min(1)).min(1).max(64),
  workingFolder: absolutePath.optional(),
  environment: z.record(z.string(), z.string()).default({}),
})
/** An image that is mounted, not run. */
const imageFolder = z.strictObject({ folder: absolutePath }).transform(({ folder }) => {
  return { folder, command: [], workingFolder: undefined, environment: {} }
})

/** `command` is empty for an image that is mounted only. */
type ImageEntry = z.output<typeof imageEntry> & {
  /** What a volume of the image shows. */
  readonly folder?: string | undefined
  readonly simulate?: Simulation | undefined
}
/** A path inside the container and the folder or file on this machine that stands for it. */
export type PathRewrite = { readonly from: string; readonly to: string }
/** `rewrites`: paths that exist inside the image. */
export type Image = Readonly<ImageEntry> & {
  readonly rewrites: readonly PathRewrite[]
}
export type ImageMap = ReadonlyMap<string, Image>

/** `{ "paths": {…}, "<image>": {…} }`: what runs in place of each container image. */
const imageMapFile = z
  .object({ paths: z.record(absolutePath, absolutePath).default({}) })
  .catchall(z.union([imageEntry, simulatedImage, imageFolder]))

/** Turns the parsed JSON of an image map file into images; throws a ZodError. */
export function parseImageMap(json: unknown): ImageMap {
  const { paths, ...images } = imageMapFile.parse(json)
  const rewrites = Object.entries(paths).map(([from, to]) => ({ from, to }))
  return new Map(Object.entries(images).map(([name, image]) => [name, { ...image, rewrites }]))
}

/** Reads the image map. Throws `platform.misconfigured` that names the file and what is wrong. */
export async function readImageMap(path: string): Promise<ImageMap> {
  try {
    return parseImageMap(JSON.parse(await readFile(path, 'utf8')))
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause)
    throw new AppError('platform.misconfigured', `image map ${path}: ${reason}`, { cause })
  }
}
