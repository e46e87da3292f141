import type { InferenceSession } from 'onnxruntime-node'
import { unreachable } from '../../shared/assert.ts'
import type { ExecutionProvider } from './execution-provider.ts'

/** Above this size of a component's files, memory is worth more than the last per cent of speed. */
const largeBytes = 256 * 1024 * 1024

export type SessionProfile = {
  readonly threads: number
  /** Folder in which the graph's external data lies; its files are mapped, not read. */
  readonly folder: string
  /** Of the graph and its external data. */
  readonly sizeBytes: number
  /** The CPU when absent. */
  readonly provider?: ExecutionProvider
}

type Options = InferenceSession.SessionOptions

/**
 * Options of a session, from what the binding of onnxruntime-node 1.30 reads: it takes no limit of
 * the GPU's arena, no CUDA graph and no choice of convolution algorithms; TensorRT reads its own
 * from `ORT_TENSORRT_*` variables (docs/inference-runtime.md).
 */
export function sessionOptions(profile: SessionProfile): Options {
  const provider = profile.provider ?? 'cpu'
  const { session, ...options } =
    provider === 'cpu' ? cpuOptions(profile) : gpuOptions(providersOf(provider))
  return {
    ...options,
    intraOpNumThreads: profile.threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: 3,
    // The binding takes strings only; nested keys are joined with dots.
    extra: {
      session: {
        ...session,
        model_external_initializers_file_folder_path: profile.folder,
        intra_op: { allow_spinning: '0' },
      },
    },
  }
}

type ProviderOptions = Options & { readonly session: Readonly<Record<string, string>> }

/**
 * Measured with a UNet of 860 M parameters in external data: mapped and neither optimised nor
 * prepacked it opens in 0.12 s with 0.09 GiB, by default in 10 s with 3.3 GiB, at the same time
 * per step; without arena and memory pattern the peak falls from 9.3 to 6.3 GiB.
 */
function cpuOptions({ sizeBytes }: SessionProfile): ProviderOptions {
  const large = sizeBytes > largeBytes
  return {
    executionProviders: ['cpu'],
    graphOptimizationLevel: large ? 'disabled' : 'all',
    enableCpuMemArena: !large,
    enableMemPattern: !large,
    session: large ? { disable_prepacking: '1' } : {},
  }
}

/** Weights are copied to the device anyway, so the graph is optimised whatever its size. */
function gpuOptions(executionProviders: readonly string[]): ProviderOptions {
  return {
    executionProviders,
    graphOptimizationLevel: 'all',
    enableCpuMemArena: false,
    enableMemPattern: false,
    session: {},
  }
}

/** In order of preference: what the first cannot run goes to the next. */
function providersOf(provider: Exclude<ExecutionProvider, 'cpu'>): readonly string[] {
  switch (provider) {
    case 'cuda':
      return ['cuda', 'cpu']
    case 'tensorrt':
      return ['tensorrt', 'cuda', 'cpu']
    case 'webgpu':
      return ['webgpu', 'cpu']
    default:
      return unreachable(provider)
  }
}
