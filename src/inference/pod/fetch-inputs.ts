import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import path from 'node:path'
import type { AppError } from '../../shared/errors.ts'
import type { Work } from '../../shared/wire/internal.ts'
import { pictureLimits } from '../../shared/domain/picture-header.ts'
import { invalid } from '../pipelines/request.ts'
import type { InputFile } from '../runner/protocol.ts'
import type { InternalApi } from './internal-api.ts'
import { retry, type RetryOptions } from './retry.ts'

type WorkInput = Work['inputs'][number]
type UrlInput = Extract<WorkInput, { readonly url: string }>
type Fetching = {
  readonly api: Pick<InternalApi, 'get'>
  /** Where the keys of ConfigMaps are mounted. */
  readonly folder: string
  readonly retry: RetryOptions
}

/**
 * Brings the files of a job into memory, one after the other. Each is bounded before it is read
 * and, where the api knows its digest, compared with it.
 * @throws AppError request.invalid that names `inputs[i]`.
 */
export async function fetchInputs(
  inputs: Work['inputs'],
  fetching: Fetching,
): Promise<readonly InputFile[]> {
  const files: InputFile[] = []
  for (const [index, input] of inputs.entries()) {
    const field = `inputs[${index}]`
    const bytes =
      'url' in input
        ? await download(input, { field, fetching })
        : await readMounted(path.join(fetching.folder, input.file), field)
    files.push({ role: input.role, field, bytes })
  }
  return files
}

async function download(
  { url, sha256, sizeBytes }: UrlInput,
  { field, fetching }: { readonly field: string; readonly fetching: Fetching },
): Promise<Uint8Array> {
  if (sizeBytes > pictureLimits.fileBytesMax) throw tooLarge(field, sizeBytes)
  const { signal } = fetching.retry
  const bytes = await retry(() => fetching.api.get({ url, sizeBytes }, signal), fetching.retry)
  const digest = createHash('sha256').update(bytes).digest('hex')
  if (digest === sha256) return bytes
  throw invalid(field, `its digest is ${digest}, the api announced ${sha256}`)
}

/** A key of a ConfigMap; the mount is optional, so a missing one is an absent file. */
async function readMounted(file: string, field: string): Promise<Uint8Array> {
  const handle = await open(file).catch((cause: unknown) => {
    throw invalid(field, 'the ConfigMap or its key does not exist', cause)
  })
  try {
    const { size } = await handle.stat()
    if (size > pictureLimits.fileBytesMax) throw tooLarge(field, size)
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}

function tooLarge(field: string, sizeBytes: number): AppError {
  return invalid(field, `has ${sizeBytes} bytes; at most ${pictureLimits.fileBytesMax} are read`)
}
