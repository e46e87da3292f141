import type { Database } from '../../../platform/mongo/database.ts'
import type { Documents } from '../../../platform/mongo/documents.ts'
import type { LeaderTask } from '../../people.ts'
import { eachById } from '../../tasks/pages.ts'
import type { PictureStore } from './picture-store.ts'

/** Bytes of one person's uploaded pictures, counted before they are stored. `_id` is the user. */
export type UploadUsage = {
  readonly _id: string
  readonly usedBytes: number
  /** Grows with every change, so that a repair notices that somebody was at work. */
  readonly revision: number
}

export type Reservation =
  | { readonly kind: 'Reserved' }
  | { readonly kind: 'OverQuota'; readonly usedBytes: number }

/**
 * The only writer of `uploadUsage`: one document per person, one conditional write per change, so
 * that two uploads at the quota never both fit. The pictures themselves are the truth: what a crash
 * leaves between the two is repaired from them.
 */
export type UploadUsageStore = {
  readonly read: (userId: string) => Promise<number>
  /** Takes room for a picture, where there is room. */
  readonly reserve: (userId: string, wish: QuotaWish) => Promise<Reservation>
  /** Books what is stored already, room or not. */
  readonly add: (userId: string, sizeBytes: number) => Promise<void>
  /** Gives the room of a picture back. */
  readonly release: (userId: string, sizeBytes: number) => Promise<void>
  /** Compares everybody's count with their pictures and mends those that stand still. */
  readonly repair: (suspects: Suspects) => Promise<Suspects>
}

export type QuotaWish = { readonly sizeBytes: number; readonly quotaBytes: number }

/** Counts that did not fit, with the revision at which they were seen. */
export type Suspects = ReadonlyMap<string, number>

/** Longer than any upload may take: what stood still for so long is nobody's work any more. */
const repairEveryMs = 15 * 60_000

export function openUploadUsage(
  database: Database,
  pictures: Pick<PictureStore, 'totalBytes'>,
): UploadUsageStore {
  const usage = database.documents<UploadUsage>('uploadUsage')
  const open = async (userId: string): Promise<UploadUsage> =>
    (await usage.findById(userId)) ?? (await begin(usage, userId, pictures))
  return {
    read: async (userId) =>
      (await usage.findById(userId))?.usedBytes ?? (await pictures.totalBytes(userId)),
    reserve: async (userId, { sizeBytes, quotaBytes }) => {
      await open(userId)
      const room = { _id: userId, usedBytes: { $lte: quotaBytes - sizeBytes } }
      if (await usage.update(room, change(sizeBytes))) return { kind: 'Reserved' }
      return { kind: 'OverQuota', usedBytes: (await open(userId)).usedBytes }
    },
    add: async (userId, sizeBytes) => {
      await open(userId)
      await usage.update({ _id: userId }, change(sizeBytes))
    },
    release: async (userId, sizeBytes) => {
      // Less than that is a count that a repair has still to mend; it never goes below zero.
      await usage.update({ _id: userId, usedBytes: { $gte: sizeBytes } }, change(-sizeBytes))
    },
    repair: async (suspects) => await repair(usage, pictures, suspects),
  }
}

/** For `leaderTasks`: a count that is wrong is right again after two rounds. */
export function repairUsageTask(store: Pick<UploadUsageStore, 'repair'>): LeaderTask {
  let suspects: Suspects = new Map()
  return {
    name: 'repair-upload-usage',
    everyMs: repairEveryMs,
    run: async () => {
      suspects = await store.repair(suspects)
    },
  }
}

function change(bytes: number) {
  return { $inc: { usedBytes: bytes, revision: 1 } }
}

type Usage = Documents<UploadUsage>
type Pictures = Pick<PictureStore, 'totalBytes'>

/** The first look at a person counts what they have from earlier releases. */
async function begin(usage: Usage, userId: string, pictures: Pictures): Promise<UploadUsage> {
  const first = { _id: userId, usedBytes: await pictures.totalBytes(userId), revision: 1 }
  if (await usage.insert(first)) return first
  return (await usage.findById(userId)) ?? first
}

/**
 * A count may differ from the pictures for as long as an upload or a deletion runs, and each bumps
 * the revision: only one that differs twice, at the same revision, was left by a crash.
 */
async function repair(usage: Usage, pictures: Pictures, before: Suspects): Promise<Suspects> {
  const suspects = new Map<string, number>()
  const page = async ({ afterId, limit }: { readonly afterId: string; readonly limit: number }) =>
    await usage.find({ _id: { $gt: afterId } }, { sort: { _id: 1 }, limit })
  for await (const { _id, usedBytes, revision } of eachById(page)) {
    const totalBytes = await pictures.totalBytes(_id)
    if (totalBytes === usedBytes) continue
    if (before.get(_id) === revision) {
      const mended = { $set: { usedBytes: totalBytes }, $inc: { revision: 1 } }
      await usage.update({ _id, revision }, mended)
    } else {
      suspects.set(_id, revision)
    }
  }
  return suspects
}
