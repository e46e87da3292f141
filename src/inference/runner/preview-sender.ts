import type { Clock } from '../../shared/clock.ts'
import { encodeJpeg } from '../images/encode-jpeg.ts'
import { resizePicture } from '../images/resize.ts'
import type { Picture } from '../images/picture.ts'
import type { ModelCall } from '../pipelines/generate-images.ts'
import type { DiffusionModel } from '../pipelines/model.ts'
import { previewLatents } from '../pipelines/preview.ts'
import { entry } from '../pipelines/tensors.ts'
import type { ChildMessage } from './protocol.ts'

/** What a reader of progress is told as most. */
const pauseMs = 500
const sideMaxPixels = 256
const quality = 75

/** Sends a small JPEG of the first picture of a run, at most twice a second. */
export class PreviewSender {
  readonly #model: DiffusionModel
  readonly #send: (message: ChildMessage) => void
  readonly #clock: Clock
  #lastMs = Number.NEGATIVE_INFINITY

  constructor(parts: {
    readonly model: DiffusionModel
    readonly send: (message: ChildMessage) => void
    readonly clock: Clock
  }) {
    this.#model = parts.model
    this.#send = parts.send
    this.#clock = parts.clock
  }

  async offer(call: ModelCall): Promise<void> {
    const nowMs = this.#clock.nowMs()
    // The clock may jump back; then a preview comes early, not never.
    if (Math.abs(nowMs - this.#lastMs) < pauseMs) return
    this.#lastMs = nowMs
    const picture = await previewLatents(this.#model, entry(call.toPreview(), 0))
    this.#send({ type: 'Preview', jpeg: await encodeJpeg(shrink(picture), { quality }) })
  }
}

function shrink(picture: Picture): Picture {
  const scale = Math.min(1, sideMaxPixels / Math.max(picture.width, picture.height))
  if (scale === 1) return picture
  const width = Math.max(1, Math.round(picture.width * scale))
  const height = Math.max(1, Math.round(picture.height * scale))
  return resizePicture(picture, { width, height, filter: 'Bilinear' })
}
