import type { ObjectStore, StoredObject } from '../../../platform/objects/store.ts'
import { isObjectKey } from '../../../platform/objects/key.ts'
import type { Input } from '../../../shared/crd/generation-job.ts'
import { parseArtifactId } from '../../../shared/domain/job-artifact.ts'
import type { FieldError } from '../../../shared/errors.ts'
import type { JobRow } from './row.ts'
import type { JobStore } from './store.ts'

export type InputReaders = { readonly store: JobStore; readonly objects: ObjectStore }

type Owner = JobRow['owner']

/** What is wrong with each input: missing, or not the owner's to read. Paths are `inputs[i]`. */
export async function inputErrors(
  readers: InputReaders,
  owner: Owner,
  inputs: readonly Input[],
): Promise<readonly FieldError[]> {
  const errors: FieldError[] = []
  for (const [index, input] of inputs.entries()) {
    const found = await findInput(readers, owner, input)
    if (found === null) {
      const message = 'there is no such input, or its owner may not read it'
      errors.push({ path: `inputs[${index}]`, message })
    }
  }
  return errors
}

/** The object behind an input, when the owner may read it. */
export async function findInput(
  readers: InputReaders,
  owner: Owner,
  input: Input,
): Promise<StoredObject | null> {
  if (input.artifact !== undefined) return await findArtifact(readers, owner, input.artifact)
  if (input.object !== undefined) return await findImport(readers, owner, input.object)
  return null
}

/** An artifact belongs to its job's owner; a department's job may read the department's. */
async function findArtifact({ store, objects }: InputReaders, owner: Owner, id: string) {
  const name = parseArtifactId(id)
  const row = name === null ? null : await store.get(name.jobId)
  if (row === null || row.owner.department !== owner.department) return null
  if (owner.user !== null && row.owner.user !== owner.user) return null
  const suffix = `/${name?.attempt}/${name?.name}`
  const output = row.outputs.find(({ key }) => key.endsWith(suffix))
  return output === undefined ? null : await objects.head(output.key)
}

async function findImport(
  { objects }: InputReaders,
  { department }: Owner,
  { key, sha256 }: { readonly key: string; readonly sha256: string },
): Promise<StoredObject | null> {
  if (!key.startsWith(`imports/${department}/`) || !isObjectKey(key)) return null
  const found = await objects.head(key)
  return found?.sha256 === sha256 ? found : null
}
