import type { GenerationStage, ModelCall } from '../pipelines/generate-images.ts'
import type { ChildMessage } from './protocol.ts'

/** Tells how far a job is, counted in model calls. */
export class ProgressSender {
  readonly #callsPerImage: number
  readonly #send: (message: ChildMessage) => void
  #stepsDone = 0

  constructor(callsPerImage: number, send: (message: ChildMessage) => void) {
    this.#callsPerImage = callsPerImage
    this.#send = send
  }

  enter(stage: GenerationStage, image: number): void {
    this.#report(stage, { image, images: 1, step: stage === 'Decoding' ? this.#callsPerImage : 0 })
  }

  count({ image, images, index }: ModelCall): void {
    this.#report('Denoising', { image, images, step: index + 1 })
  }

  #report(
    stage: GenerationStage,
    {
      image,
      images,
      step,
    }: { readonly image: number; readonly images: number; readonly step: number },
  ): void {
    // Pictures that share their runs are decoded one by one: what is done stays done.
    this.#stepsDone = Math.max(this.#stepsDone, image * this.#callsPerImage + step * images)
    const [steps, stepsDone] = [this.#callsPerImage, this.#stepsDone]
    this.#send({ type: 'Progress', progress: { stage, image, step, steps, stepsDone } })
  }
}
