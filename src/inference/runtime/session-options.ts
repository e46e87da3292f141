import type { InferenceSession } from 'onnxruntime-node'

/** Above this size of a component's files, memory is worth more than the last per cent of speed. */
const largeBytes = 256 * 1024 * 1024

export type SessionProfile = {
  readonly threads: number
  /** Folder in which the graph's external data lies; its files are mapped, not read. */
  readonly folder: string
  readonly sizeBytes: number
}

/**
 * CPU sessions. Measured with a UNet of 860 M parameters in external data: mapped and neither
 * optimised nor prepacked it opens in 0.12 s with 0.09 GiB, by default in 10 s with 3.3 GiB, at
 * the same time per step; without arena and memory pattern the peak falls from 9.3 to 6.3 GiB.
 */
export function sessionOptions(profile: SessionProfile): InferenceSession.SessionOptions {
  const large = profile.sizeBytes > largeBytes
  return {
    executionProviders: ['cpu'],
    graphOptimizationLevel: large ? 'disabled' : 'all',
    intraOpNumThreads: profile.threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    enableCpuMemArena: !large,
    enableMemPattern: !large,
    logSeverityLevel: 3,
    // The binding takes strings only; nested keys are joined with dots.
    extra: {
      session: {
        ...(large && { disable_prepacking: '1' }),
        model_external_initializers_file_folder_path: profile.folder,
        intra_op: { allow_spinning: '0' },
      },
    },
  }
}
