import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AppError } from '../shared/errors.ts'

export type StartOptions = {
  readonly help: boolean
  /** End after the first picture instead of staying up. */
  readonly exit: boolean
  readonly prompt: string
  /** Path of the PNG. */
  readonly outputPath: string
  readonly folder: string
}

export const usage = `npm start [-- OPTIONS]

Starts Atelier on this machine and makes a first picture through the public REST API.

  --prompt TEXT    what the picture shows (default: a photo of a scratch on metal)
  --output FILE    where to write the PNG (default: first-picture.png in the data folder)
  --data FOLDER    where everything is kept between starts (default: .atelier)
  --exit           end when the picture is written; its path is the last line
  --help           this text

Environment variables: ATELIER_KUBECONFIG, MONGODB_URI and REDIS_URL use an existing part instead of
starting one; ATELIER_PORT_BASE is the first of 14 ports in a row (default 8080); builds are kept in
ATELIER_CACHE_FOLDER (default ~/.cache/atelier).
`

/** Paths are relative to `currentFolder`. Throws `platform.misconfigured` on an unknown option. */
export function parseOptions(args: readonly string[], currentFolder: string): StartOptions {
  const { values } = parse(args)
  const folder = resolve(currentFolder, values.data ?? '.atelier')
  return {
    help: values.help ?? false,
    exit: values.exit ?? false,
    prompt: values.prompt ?? 'a photo of a scratch on metal',
    outputPath: resolve(currentFolder, values.output ?? resolve(folder, 'first-picture.png')),
    folder,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: false,
      options: {
        help: { type: 'boolean' },
        exit: { type: 'boolean' },
        prompt: { type: 'string' },
        output: { type: 'string' },
        data: { type: 'string' },
      },
    })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('platform.misconfigured', `${reason}\n\n${usage}`, { cause })
  }
}
