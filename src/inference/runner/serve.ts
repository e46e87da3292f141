import process from 'node:process'
import { assert, unreachable } from '../../shared/assert.ts'
import { openPackFiles } from '../models/pack-files.ts'
import { openStableDiffusion, type StableDiffusion } from '../pipelines/stable-diffusion.ts'
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
let model: StableDiffusion | undefined
let current = new AbortController()

function send(message: ChildMessage): void {
  process.send?.(message)
}

async function load(request: LoadRequest): Promise<void> {
  assert(model === undefined, 'a child loads one model in its life')
  const files = await openPackFiles(request.folder, request.files)
  model = await openStableDiffusion(files, request.threads)
}

async function handle(message: ParentMessage): Promise<void> {
  switch (message.type) {
    case 'Load':
      await load(message.request)
      return send({ type: 'Done', outcome: 'Completed' })
    case 'Generate': {
      assert(model !== undefined, 'the model is loaded before anything is generated')
      current = new AbortController()
      const outcome = await generate(model, message.request, { signal: current.signal, send })
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
