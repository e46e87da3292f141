import { describe, expect, test } from 'vitest'
import {
  chooseProvider,
  imagesPerRunOf,
} from '../../../src/inference/runtime/execution-provider.ts'
import { sessionOptions } from '../../../src/inference/runtime/session-options.ts'
import { AppError } from '../../../src/shared/errors.ts'

const cudaLibrary = '/ort/libonnxruntime_providers_cuda.so'
const tensorrtLibrary = '/ort/libonnxruntime_providers_tensorrt.so'
const driver = '/dev/nvidiactl'
const vulkan = '/usr/lib/x86_64-linux-gnu/libvulkan.so.1'

function machine(...files: readonly string[]) {
  const hasFile = (file: string) => files.includes(file)
  return { platform: 'linux', hasFile, libraryFolder: '/ort' }
}

describe('the execution provider', () => {
  test.each([
    ['the CPU where there is nothing else', [], 'cpu'],
    ['the CPU where the library is, but no GPU', [cudaLibrary], 'cpu'],
    ['the CPU where a GPU is, but no library', [driver, tensorrtLibrary], 'cpu'],
    ['CUDA where both are', [cudaLibrary, driver], 'cuda'],
  ])('is by itself %s', (_, files, expected) => {
    expect(chooseProvider('auto', machine(...files))).toBe(expected)
  })

  test.each([
    ['cpu', []],
    ['cuda', [cudaLibrary]],
    ['tensorrt', [tensorrtLibrary]],
    ['webgpu', [vulkan]],
  ] as const)('is %s when asked for and there', (setting, files) => {
    expect(chooseProvider(setting, machine(...files))).toBe(setting)
  })

  test.each([
    ['cuda', /providers_cuda\.so is missing.*ONNXRUNTIME_NODE_INSTALL=cuda12/],
    ['tensorrt', /providers_tensorrt\.so is missing/],
    ['webgpu', /libvulkan\.so\.1 is missing; install/],
  ] as const)('%s is never replaced: its absence says what to do', (setting, expected) => {
    const choose = () => chooseProvider(setting, machine())
    expect(choose).toThrow(AppError)
    expect(choose).toThrow(expected)
  })

  test('runs pictures together on a GPU only', () => {
    expect(imagesPerRunOf('cpu', 4)).toBe(1)
    expect(imagesPerRunOf('cuda', 4)).toBe(4)
  })
})

describe('the options of a session', () => {
  const small = { threads: 3, folder: '/pack/unet', sizeBytes: 1 }
  const large = { ...small, sizeBytes: 2 ** 30 }

  test('take threads and the folder of the weights from the profile', () => {
    expect(sessionOptions(small)).toMatchObject({
      executionProviders: ['cpu'],
      intraOpNumThreads: 3,
      graphOptimizationLevel: 'all',
      enableCpuMemArena: true,
      extra: { session: { model_external_initializers_file_folder_path: '/pack/unet' } },
    })
  })

  test('map large weights as they are, without arena', () => {
    expect(sessionOptions(large)).toMatchObject({
      graphOptimizationLevel: 'disabled',
      enableCpuMemArena: false,
      enableMemPattern: false,
      extra: { session: { disable_prepacking: '1' } },
    })
  })

  test.each([
    ['cuda', ['cuda', 'cpu']],
    ['tensorrt', ['tensorrt', 'cuda', 'cpu']],
    ['webgpu', ['webgpu', 'cpu']],
  ] as const)('for %s optimise whatever the size and fall back in order', (provider, order) => {
    const options = sessionOptions({ ...large, provider })
    expect(options).toMatchObject({ executionProviders: order, graphOptimizationLevel: 'all' })
    expect(options.extra).not.toHaveProperty('session.disable_prepacking')
  })
})
