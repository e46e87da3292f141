import type { ObjectStore, StoredObject } from '../../../platform/objects/store.ts'
import { isObjectKey } from '../../../platform/objects/key.ts'
import type { Input, Parameters } from '../../../shared/crd/generation-job.ts'
import { parseArtifactId } from '../../../shared/domain/job-artifact.ts'
import type { FieldError } from '../../../shared/errors.ts'
import { isPictureId, type PictureStore } from '../artifacts/picture-store.ts'
import type { JobRow } from './row.ts'
import type { JobStore } from './store.ts'

export type InputReaders = {
  readonly store: JobStore
  readonly pictures: Pick<PictureStore, 'get'>
  readonly objects: ObjectStore
}

type Owner = JobRow['owner']
type Size = { readonly width: number; readonly height: number }

/** The object behind an input, and its size in pixels where that is known. */
export type FoundInput = { readonly object: StoredObject; readonly size: Size | null }

export type InputWish = {
  readonly owner: Owner
  readonly inputs: readonly Input[]
  /** Complete. */
  readonly parameters: Parameters
}

/**
 * What is wrong with each input: missing, not the owner's to read, or of a size that nobody said
 * how to change. Paths are `inputs[i]`. What a ConfigMap holds only the pod can see.
 */
export async function inputErrors(
  readers: InputReaders,
  { owner, inputs, parameters }: InputWish,
): Promise<readonly FieldError[]> {
  const errors: FieldError[] = []
  for (const [index, input] of inputs.entries()) {
    if (input.configMapRef !== undefined) continue
    const found = await findInput(readers, owner, input)
    const message = found === null ? missing : sizeFault(found, parameters)
    if (message !== null) errors.push({ path: `inputs[${index}]`, message })
  }
  return errors
}

const missing = 'there is no such input, or its owner may not read it'

/** Nothing is resized in silence; of a masked box every size is cut to what is painted. */
function sizeFault({ size }: FoundInput, parameters: Parameters): string | null {
  const { width, height, resizeMode, inpaintArea } = parameters
  if (size === null || resizeMode !== undefined || inpaintArea === 'MaskedOnly') return null
  if (size.width === width && size.height === height) return null
  const both = `has ${size.width}x${size.height} pixels, the job makes ${width}x${height}`
  return `${both}: set parameters.resizeMode, or width and height`
}

/** The object behind an input, when the owner may read it. */
export async function findInput(
  readers: InputReaders,
  owner: Owner,
  input: Input,
): Promise<FoundInput | null> {
  if (input.artifact !== undefined) {
    const find = isPictureId(input.artifact) ? findPicture : findOutput
    return await find(readers, owner, input.artifact)
  }
  if (input.object !== undefined) return await findImport(readers, owner, input.object)
  return null
}

/** What belongs to whom: a department's job may read what any of its people have. */
function mayRead(reader: Owner, { department, user }: Owner): boolean {
  return department === reader.department && (reader.user === null || user === reader.user)
}

async function findPicture({ pictures, objects }: InputReaders, owner: Owner, id: string) {
  const picture = await pictures.get(id)
  // It stays its person's when they move; an output stays with its department.
  const isOwn = picture?.owner.user === owner.user
  if (picture === null || !(isOwn || mayRead(owner, picture.owner))) return null
  return known(await objects.head(picture.key), picture.size)
}

async function findOutput({ store, objects }: InputReaders, owner: Owner, id: string) {
  const name = parseArtifactId(id)
  const row = name === null ? null : await store.get(name.jobId)
  if (row === null || !mayRead(owner, row.owner)) return null
  const suffix = `/${name?.attempt}/${name?.name}`
  const output = row.outputs.find(({ key }) => key.endsWith(suffix))
  if (output === undefined) return null
  const { key, width, height } = output
  const size = width === undefined || height === undefined ? null : { width, height }
  return known(await objects.head(key), size)
}

async function findImport(
  { objects }: InputReaders,
  { department }: Owner,
  { key, sha256 }: { readonly key: string; readonly sha256: string },
): Promise<FoundInput | null> {
  if (!key.startsWith(`imports/${department}/`) || !isObjectKey(key)) return null
  const object = await objects.head(key)
  return object?.sha256 === sha256 ? { object, size: null } : null
}

function known(object: StoredObject | null, size: Size | null): FoundInput | null {
  return object === null ? null : { object, size }
}
