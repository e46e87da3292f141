import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { AppError } from '../../shared/errors.ts'
import type { PathRewrite } from './path-rewriting.ts'

const hostPaths = z.record(z.string().startsWith('/'), z.string().startsWith('/'))

const imageEntry = z.strictObject({
  /** What the image's entry point would be. A container's `command` replaces it. */
  command: z.array(z.string().min(1)).min(1).max(64),
  /** What the image's CMD would be. A container's `command` or `args` replaces it. */
  args: z.array(z.string()).max(64).default([]),
  workingFolder: z.string().startsWith('/').optional(),
  environment: z.record(z.string(), z.string()).default({}),
  paths: hostPaths.default({}),
})

/** `{ "paths": {…}, "<image>": {…} }`: what runs in place of each container image. */
const imageMapFile = z.object({ paths: hostPaths.optional() }).catchall(imageEntry)

export type Image = {
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly workingFolder?: string | undefined
  readonly environment: Readonly<Record<string, string>>
  /** Paths that exist inside the image, and where they lie on this machine. */
  readonly rewrites: readonly PathRewrite[]
}

export type ImageMap = ReadonlyMap<string, Image>

/** Turns the parsed JSON of an image map file into images; throws a ZodError. */
export function parseImageMap(json: unknown): ImageMap {
  const { paths: commonPaths = {}, ...images } = imageMapFile.parse(json)
  return new Map(
    Object.entries(images).map(([name, { paths, ...image }]) => {
      const rewrites = Object.entries({ ...commonPaths, ...paths })
      return [name, { ...image, rewrites: rewrites.map(([from, to]) => ({ from, to })) }]
    }),
  )
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
