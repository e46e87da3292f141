import process from 'node:process'
import { systemClock } from '../../platform/clock/system-clock.ts'
import { assert, unreachable } from '../../shared/assert.ts'
import { openPackFiles } from '../models/pack-files.ts'
import { type DiffusionModel, openModel } from '../pipelines/model.ts'
import { generate } from './generate.ts'
import {
  type ChildMessage,
  isParentMessage,
  type LoadRequest,
  packSentError,
  type ParentMessage,
} from './protocol.ts'

/**
 * The only process that loads onnxruntime. It holds one model and makes one job's pictures at a
 * time. onnxruntime blocks its thread, so between two runs it reads its messages: that is where
 * a cancel is seen. A crash in native code ends this process and nothing else.
 */
let loaded: Loaded | undefined
let current = new AbortController()

type Loaded = { readonly model: DiffusionModel; readonly verified: Promise<void> }

function send(message: ChildMessage): void {
  process.send?.(message)
}

/** Digests of gigabytes take seconds, so they are computed while the first job runs. */
async function load(request: LoadRequest): Promise<Loaded> {
  assert(loaded === undefined, 'a child loads one model in its life')
  const { folder, threads, provider, preview } = request
  const files = await openPackFiles(folder, request.files, { mappedDigests: 'Apart' })
  const model = await openModel(files, { threads, provider, ...(preview && { preview }) })
  const verified = files.verify('Mapped')
  // Whoever makes a picture meets the error; until then it must not count as unhandled.
  verified.catch(() => {})
  return { model, verified }
}

async function handle(message: ParentMessage): Promise<void> {
  switch (message.type) {
    case 'Load':
      loaded = await load(message.request)
      return send({ type: 'Done', outcome: 'Completed' })
    case 'Generate': {
      assert(loaded !== undefined, 'the model is loaded before anything is generated')
      current = new AbortController()
      const control = { ...loaded, signal: current.signal, send, clock: systemClock }
      const outcome = await generate(loaded.model, message.request, control)
      return send({ type: 'Done', outcome })
    }
    case 'Cancel':
      return current.abort()
    default:
      return unreachable(message)
  }
}

process.on('message', (message: unknown) => {
  if (!isParentMessage(message)) return
  handle(message).catch((error: unknown) => send({ type: 'Failed', error: packSentError(error) }))
})
// Without its parent there is nobody to work for; a run in progress ends first.
process.on('disconnect', () => process.exit(0))
// The parent decides when to stop: a terminal's Ctrl-C reaches both.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
