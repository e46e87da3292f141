import { createHash } from 'node:crypto'
import { assert } from '../../shared/assert.ts'
import type { Output } from '../../shared/crd/generation-job.ts'
import type { GeneratedImage } from '../runner/protocol.ts'
import type { InternalApi } from './internal-api.ts'
import type { RetryOptions } from './retry.ts'
import { retry } from './retry.ts'

export type UploaderOptions = {
  readonly api: Pick<InternalApi, 'uploads' | 'put'>
  readonly retry: RetryOptions
  readonly onUploaded: (uploaded: number) => void
  /** Called once, when a picture could not be stored: making more of them is pointless. */
  readonly onFailure: () => void
}

const contentType = 'image/png'

/** Uploads finished pictures one after the other, while the next ones are made. */
export class ImageUploader {
  readonly #options: UploaderOptions
  readonly #outputs: Output[] = []
  #queue: Promise<void> = Promise.resolve()
  #failure: unknown

  constructor(options: UploaderOptions) {
    this.#options = options
  }

  add(image: GeneratedImage): void {
    this.#queue = this.#queue
      .then(() => this.#upload(image))
      .catch((error: unknown) => {
        if (this.#failure === undefined) this.#options.onFailure()
        this.#failure ??= error
      })
  }

  /** Waits for all uploads. `failure` is the first one that did not succeed. */
  async finish(): Promise<{ readonly outputs: readonly Output[]; readonly failure: unknown }> {
    await this.#queue
    return { outputs: this.#outputs, failure: this.#failure }
  }

  async #upload(image: GeneratedImage): Promise<void> {
    const output = describe(image)
    const { api } = this.#options
    const { signal } = this.#options.retry
    await retry(async () => {
      // A fresh link for every try: the old one may have expired meanwhile.
      const { uploads } = await api.uploads({ outputs: [output] }, signal)
      const upload = uploads.find(({ name }) => name === output.name)
      assert(upload !== undefined, 'the api answers with a link for every announced output')
      await api.put({ url: upload.url, bytes: image.png, contentType }, signal)
      this.#outputs.push({ ...output, key: upload.key })
    }, this.#options.retry)
    this.#options.onUploaded(this.#outputs.length)
  }
}

function describe(image: GeneratedImage): Omit<Output, 'key'> {
  return {
    name: `image-${String(image.index).padStart(4, '0')}.png`,
    sha256: createHash('sha256').update(image.png).digest('hex'),
    sizeBytes: image.png.length,
    contentType,
    width: image.width,
    height: image.height,
    seed: image.seed,
    ...(image.inputChanges.length > 0 && { inputChanges: [...image.inputChanges] }),
  }
}
