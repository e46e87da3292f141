import type { ObjectStore } from '../../../platform/objects/store.ts'
import { parseArtifactKey } from '../../../shared/domain/job-artifact.ts'
import type { UploadedPicture } from '../../features/artifacts/picture-store.ts'
import { eachById } from '../pages.ts'
import { type Check, collector, type Found, inGroups } from './check.ts'
import type { AuditStore } from './store.ts'

export type ArtifactCheckDeps = {
  readonly store: AuditStore
  readonly objects: Pick<ObjectStore, 'head' | 'list'>
}

const perGroup = 500
const artifactsPrefix = 'artifacts/'

/** Keys of artifacts begin with the folder of their job, ids of pictures never do. */
type Group = { readonly keys: readonly string[]; readonly pictures: readonly UploadedPicture[] }

/**
 * What lies in the store, against what it belongs to: notes of uploads and objects to rows of jobs,
 * pictures to people and to their objects. Costs a list of the objects of all jobs and a head of
 * each picture; `changed` leaves it out, because neither notes nor objects say when they came.
 */
export function openArtifactCheck({ store, objects }: ArtifactCheckDeps): Check {
  let checked = 0
  const look = async (group: Partial<Group>) => {
    const { keys = [], pictures = [] } = group
    checked += keys.length + pictures.length
    return [
      ...(await withoutJob(store, keys)),
      ...(await withoutOwner(store, pictures)),
      ...(await withoutBytes(objects, pictures)),
    ]
  }
  return {
    name: 'artifacts',
    all: async () => {
      checked = 0
      const { found, add } = collector()
      await inGroups(eachById(store.uploads), perGroup, async (uploads) => {
        add(await look({ keys: uploads.map(({ _id }) => _id) }))
      })
      await inGroups(objects.list(artifactsPrefix), perGroup, async (listed) => {
        add(await look({ keys: listed.map(({ key }) => key) }))
      })
      await inGroups(eachById(store.pictures), perGroup, async (pictures) => {
        add(await look({ pictures }))
      })
      return found
    },
    changed: async () => {
      checked = 0
      return []
    },
    again: async (subjects) => {
      const keys = await existing({ store, objects }, subjects)
      return await look({ keys, pictures: await store.picturesById(subjects) })
    },
    checked: () => ({ artifacts: checked }),
  }
}

async function withoutJob(store: AuditStore, keys: readonly string[]): Promise<readonly Found[]> {
  const known = keys.flatMap((key) => {
    const jobId = parseArtifactKey(key)?.jobId
    return jobId === undefined ? [] : [{ key, jobId }]
  })
  if (known.length === 0) return []
  const ids = await store.rowIds([...new Set(known.map(({ jobId }) => jobId))])
  return known
    .filter(({ jobId }) => !ids.has(jobId))
    .map(({ key, jobId }) => differs('ArtifactWithoutJob', key, `there is no row of job ${jobId}`))
}

/** Removed people keep their row, so that what they left can be told from what nobody made. */
async function withoutOwner(store: AuditStore, pictures: readonly UploadedPicture[]) {
  if (pictures.length === 0) return []
  const ids = await store.userIds([...new Set(pictures.map(({ owner }) => owner.user))])
  return pictures
    .filter(({ owner }) => !ids.has(owner.user))
    .map(({ _id, owner }) => {
      return differs('PictureWithoutOwner', _id, `there is no row of person ${owner.user}`)
    })
}

/** A picture's document is written after its bytes and removed before them. */
async function withoutBytes(
  objects: ArtifactCheckDeps['objects'],
  pictures: readonly UploadedPicture[],
): Promise<readonly Found[]> {
  const { found: missing, add } = collector()
  for (const { _id, key, sha256, sizeBytes } of pictures) {
    const object = await objects.head(key)
    if (object?.sha256 === sha256 && object.sizeBytes === sizeBytes) continue
    const message = object === null ? 'the object is missing' : 'the object has other bytes'
    add([differs('PictureMissing', _id, message)])
  }
  return missing
}

async function existing({ store, objects }: ArtifactCheckDeps, subjects: readonly string[]) {
  const keys = subjects.filter((subject) => subject.startsWith(artifactsPrefix))
  if (keys.length === 0) return []
  const noted = new Set((await store.uploadsById(keys)).map(({ _id }) => _id))
  const left: string[] = []
  for (const key of keys) {
    if (noted.has(key) || (await objects.head(key)) !== null) left.push(key)
  }
  return left
}

function differs(
  kind: 'ArtifactWithoutJob' | 'PictureMissing' | 'PictureWithoutOwner',
  id: string,
  message: string,
): Found {
  return { subject: id, difference: { kind, id, message } }
}
