import { callsPerImage, type PlannedJob } from '../../shared/domain/job-calls.ts'
import type { GenerationProgress } from '../runner/protocol.ts'
import type { Snapshot } from './progress-poster.ts'

/** Before the model has counted its own calls. */
export function startProgress(job: PlannedJob & { readonly images: number }): Snapshot {
  const { images } = job
  const steps = callsPerImage(job)
  return { stage: 'LoadingModel', step: 0, steps, imagesDone: 0, images, stepsDone: 0 }
}

export function stepForward(progress: Snapshot, step: GenerationProgress): Snapshot {
  const { stage, step: done, steps, stepsDone } = step
  return { ...progress, stage, step: done, steps, stepsDone }
}

/** A picture counts as done when it is stored; its preview has served. */
export function markUploaded(progress: Snapshot, imagesDone: number): Snapshot {
  const { preview: _served, ...rest } = progress
  const last = rest.stepsDone === rest.steps * rest.images
  return { ...rest, imagesDone, ...(last && { stage: 'Uploading' }) }
}

export function showPreview(progress: Snapshot, jpeg: Uint8Array): Snapshot {
  const preview = Buffer.from(jpeg).toString('base64')
  // Far above what a picture of 256 pixels takes; a larger one would make the whole post fail.
  return preview.length <= previewLengthMax ? { ...progress, preview } : progress
}

const previewLengthMax = 65_536
