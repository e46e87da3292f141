import { AppError } from '../../shared/errors.ts'
import type { Manifest } from './manifest.ts'
import { totalBytes } from './pack-files.ts'

export type MemoryRequest = {
  readonly width: number
  readonly height: number
  /** Pictures that go through the UNet in one run. */
  readonly imagesPerRun: number
  /** The LoRA files of the job. */
  readonly loras: readonly { readonly sizeBytes: number }[]
}

type Model = Pick<Manifest, 'memory' | 'sizes' | 'name'>

/** A file in half precision becomes float32, once as read and once joined for the graph. */
const bytesPerLoraByte = 4

/**
 * Bytes of main memory that a pod needs for a request: all of it once loaded, what one run needs
 * for each megapixel (10⁶ pixels) and picture, and the LoRAs. Both numbers of the manifest are
 * upper bounds: attention grows with the square of the pixels, so the second one is measured at
 * the largest size.
 */
export function memoryNeedBytes(model: Pick<Manifest, 'memory'>, request: MemoryRequest): number {
  const { loadedBytes, perMegapixelBytes } = model.memory
  const megapixels = (request.width * request.height) / 1e6
  const runBytes = perMegapixelBytes * megapixels * request.imagesPerRun
  return Math.ceil(loadedBytes + runBytes + loraNeedBytes(request.loras))
}

/** What LoRA files of these sizes need in memory. */
export function loraNeedBytes(files: readonly { readonly sizeBytes: number }[]): number {
  return totalBytes(files) * bytesPerLoraByte
}

/** What the model needs at its largest size, one picture at a time and without LoRAs. */
export function largestNeedBytes(model: Pick<Manifest, 'memory' | 'sizes'>): number {
  const { width, height } = model.sizes
  const request = { width: width.max, height: height.max, imagesPerRun: 1, loras: [] }
  return memoryNeedBytes(model, request)
}

/**
 * Whether the model may be loaded before the request is known: a job of any size would fit.
 * Otherwise the request comes first, so that a job too large is refused before anything loads.
 */
export function mayLoadEarly(
  model: Pick<Manifest, 'memory' | 'sizes'>,
  budgetBytes: number,
): boolean {
  return largestNeedBytes(model) <= budgetBytes
}

/** @throws AppError inference.memory_insufficient with both numbers, when the job cannot fit. */
export function requireMemory(model: Model, request: MemoryRequest, budgetBytes: number): void {
  const needBytes = memoryNeedBytes(model, request)
  if (needBytes <= budgetBytes) return
  const needMebibytes = Math.ceil(needBytes / 2 ** 20)
  const budgetMebibytes = Math.floor(budgetBytes / 2 ** 20)
  const { width, height, imagesPerRun, loras } = request
  const what = [
    `${width}x${height}`,
    ...(imagesPerRun > 1 ? [`${imagesPerRun} pictures at once`] : []),
    ...(loras.length > 0 ? [`${loras.length} LoRAs`] : []),
  ]
  const message =
    `${model.name} at ${what.join(', ')} needs ${needMebibytes} MiB of memory, ` +
    `the pod has ${budgetMebibytes} MiB`
  const details = { needMebibytes, budgetMebibytes }
  throw new AppError('inference.memory_insufficient', message, { details })
}
