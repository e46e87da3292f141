import type { GenerateRequest, GenerationProgress } from '../runner/protocol.ts'
import type { Snapshot } from './progress-poster.ts'

export function startProgress(request: Pick<GenerateRequest, 'steps' | 'images'>): Snapshot {
  return {
    stage: 'LoadingModel',
    step: 0,
    steps: request.steps,
    imagesDone: 0,
    images: request.images,
    stepsDone: 0,
  }
}

export function stepForward(progress: Snapshot, step: GenerationProgress): Snapshot {
  return { ...progress, stage: step.stage, step: step.step, stepsDone: step.stepsDone }
}

/** A picture counts as done when it is stored. */
export function markUploaded(progress: Snapshot, imagesDone: number): Snapshot {
  const last = progress.stepsDone === progress.steps * progress.images
  return { ...progress, imagesDone, ...(last && { stage: 'Uploading' }) }
}
