import type { Clock } from '../../shared/clock.ts'
import type { Database } from './database.ts'

/** Who is in charge until when. One conditional update takes or renews it. */
export type LeaseDocument = {
  readonly _id: string
  readonly holder: string
  readonly expiresMs: number
}

export type LeaseOptions = {
  readonly database: Database
  readonly name: string
  /** Unique per process. */
  readonly holder: string
  readonly durationMs: number
  readonly clock: Clock
}

export type DatabaseLease = {
  /** True while this holder has it, for `durationMs` from now. */
  readonly acquire: () => Promise<boolean>
  readonly release: () => Promise<void>
}

/** Never a safety argument: two holders may believe in it for a moment when clocks differ. */
export function openLease(options: LeaseOptions): DatabaseLease {
  const { database, name, holder, durationMs, clock } = options
  const leases = database.documents<LeaseDocument>('leases')
  return {
    acquire: async () => {
      const nowMs = clock.nowMs()
      const expiresMs = nowMs + durationMs
      const filter = { _id: name, $or: [{ holder }, { expiresMs: { $lte: nowMs } }] }
      if (await leases.update(filter, { $set: { holder, expiresMs } })) return true
      return await leases.insert({ _id: name, holder, expiresMs })
    },
    release: async () => {
      await leases.remove({ _id: name, holder })
    },
  }
}
