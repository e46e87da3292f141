import type { Database } from '../../../platform/mongo/database.ts'
import { codeLimits } from './limits.ts'

/** The code that counts for one purpose and address now. `_id` names both, but tells neither. */
export type CodeRow = {
  readonly _id: string
  /** Keyed digest: a plain hash of six digits is as good as the digits. */
  readonly digest: string
  readonly tries: number
  readonly expiresMs: number
}

/** The only writer of the collection `codes`. */
export type CodeStore = {
  /** Takes the place of an older code, and its tries begin anew. */
  readonly put: (code: Omit<CodeRow, 'tries'>) => Promise<void>
  /** Counts a try and gives the code to be compared; null: none, expired or tried too often. */
  readonly countTry: (id: string, nowMs: number) => Promise<CodeRow | null>
  /** True for one of all callers: the code was there and is gone now. */
  readonly take: (id: string, digest: string) => Promise<boolean>
  readonly removeExpired: (nowMs: number) => Promise<void>
}

/** Between our two writes somebody may use the code up, but hardly again and again. */
const putsMax = 10

export function createCodeStore(database: Database): CodeStore {
  const codes = database.documents<CodeRow>('codes')
  return {
    put: async ({ _id, digest, expiresMs }) => {
      for (let put = 0; put < putsMax; put += 1) {
        if (await codes.update({ _id }, { $set: { digest, expiresMs, tries: 0 } })) return
        if (await codes.insert({ _id, digest, expiresMs, tries: 0 })) return
      }
      throw new Error('a code can neither be replaced nor made')
    },
    countTry: async (_id, nowMs) =>
      await codes.findAndUpdate(
        { _id, tries: { $lt: codeLimits.triesMax }, expiresMs: { $gt: nowMs } },
        { $inc: { tries: 1 } },
      ),
    take: async (_id, digest) => await codes.remove({ _id, digest }),
    removeExpired: async (nowMs) => {
      await codes.removeMany({ expiresMs: { $lte: nowMs } })
    },
  }
}
