import type { Work } from '../../shared/wire/internal.ts'
import { manifestName, type ReadManifest } from '../models/manifest.ts'
import { packError } from '../models/pack-error.ts'
import type { GenerateRequest } from '../runner/protocol.ts'
import { readTextToImage } from './read-request.ts'

/** Checks that this pod has the wanted model and that the model can do what is asked. */
export function readWork(work: Work, pack: ReadManifest): GenerateRequest {
  const wanted = work.model.digest
  if (wanted !== undefined && wanted !== pack.digest) {
    const problem = `digest is ${pack.digest}, the Model ${work.model.name} wants ${wanted}`
    throw packError({ file: manifestName }, problem)
  }
  const request = readTextToImage(work, pack.manifest)
  return { ...request, model: { name: work.model.name, digest: pack.digest } }
}
