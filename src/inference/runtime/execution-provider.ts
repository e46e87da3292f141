import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { unreachable } from '../../shared/assert.ts'
import { AppError } from '../../shared/errors.ts'
import type { ProviderSetting } from '../../platform/config/inference.ts'

export type ExecutionProvider = Exclude<ProviderSetting, 'auto'>

export type ProviderSources = {
  readonly platform: string
  readonly hasFile: (file: string) => boolean
  /** Where onnxruntime looks for the libraries of its providers. */
  readonly libraryFolder: string
}

/**
 * Which device runs the graphs. `auto` takes the GPU when both onnxruntime's CUDA library and
 * NVIDIA's driver are there, else the CPU; a provider asked for by name is never replaced.
 * @throws AppError platform.misconfigured that says how to get what is missing.
 */
export function chooseProvider(
  setting: ProviderSetting,
  sources: ProviderSources = machineSources(),
): ExecutionProvider {
  if (setting !== 'auto') return requireProvider(setting, sources)
  const hasGpu = sources.hasFile('/dev/nvidiactl') && hasLibrary('cuda', sources)
  return hasGpu ? 'cuda' : 'cpu'
}

/**
 * Pictures that go through the UNet in one run. On a CPU a batch takes as long as its pictures
 * one after the other, needs more memory, and its last bits depend on the batch.
 */
export function imagesPerRunOf(provider: ExecutionProvider, batchSize: number): number {
  return provider === 'cpu' ? 1 : batchSize
}

function requireProvider(provider: ExecutionProvider, sources: ProviderSources): ExecutionProvider {
  const missing = missingPart(provider, sources)
  if (missing === undefined) return provider
  const message = `ATELIER_EXECUTION_PROVIDER is ${provider}: ${missing}`
  throw new AppError('platform.misconfigured', message)
}

function missingPart(provider: ExecutionProvider, sources: ProviderSources): string | undefined {
  switch (provider) {
    case 'cpu':
      return undefined
    case 'cuda':
    case 'tensorrt': {
      if (hasLibrary(provider, sources)) return undefined
      const file = libraryFile(provider, sources)
      return (
        `${file} is missing. It is not in the npm package: let the install script of ` +
        'onnxruntime-node fetch it (ONNXRUNTIME_NODE_INSTALL=cuda12), or copy it there from the ' +
        'NuGet package Microsoft.ML.OnnxRuntime.Gpu.Linux of the same version'
      )
    }
    case 'webgpu': {
      // Windows has Direct3D 12 and macOS Metal; Linux needs the Vulkan loader.
      const loaders = vulkanFolders.map((folder) => `${folder}/libvulkan.so.1`)
      if (sources.platform !== 'linux' || loaders.some(sources.hasFile)) return undefined
      return 'libvulkan.so.1 is missing; install the Vulkan loader and the driver of the GPU'
    }
    default:
      return unreachable(provider)
  }
}

const vulkanFolders = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
]

function hasLibrary(provider: 'cuda' | 'tensorrt', sources: ProviderSources): boolean {
  return sources.hasFile(libraryFile(provider, sources))
}

function libraryFile(provider: 'cuda' | 'tensorrt', { platform, libraryFolder }: ProviderSources) {
  const name = platform === 'win32' ? 'onnxruntime_providers_' : 'libonnxruntime_providers_'
  const extension = platform === 'win32' ? 'dll' : 'so'
  return path.join(libraryFolder, `${name}${provider}.${extension}`)
}

function machineSources(): ProviderSources {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node')
  const { platform, arch } = process
  return {
    platform,
    hasFile: existsSync,
    libraryFolder: path.join(path.dirname(entry), '../bin/napi-v6', platform, arch),
  }
}
