import type { Database } from '../../../platform/mongo/database.ts'

/** When codes were sent to one address or for one network, oldest first. */
export type SendRow = {
  readonly _id: string
  /** Always as many as are remembered; those that never happened are at 0. */
  readonly timesMs: readonly number[]
  readonly expiresMs: number
}

/** At most `max` in any `windowMs`. */
export type SendLimit = { readonly max: number; readonly windowMs: number }

/** What one counter allows; the first limit has the longest memory. */
export type SendCounter = { readonly _id: string; readonly limits: readonly SendLimit[] }

/** The only writer of the collection `codeSends`. */
export type SendStore = {
  /** One conditional write: null when counted, or what stands against it and until when. */
  readonly count: (counter: SendCounter, nowMs: number) => Promise<SendRefusal | null>
  readonly removeExpired: (nowMs: number) => Promise<void>
}
export type SendRefusal = { readonly limit: SendLimit; readonly untilMs: number }

/** Another request may make or remove the document between our steps. */
const roundsMax = 5

export function createSendStore(database: Database): SendStore {
  const sends = database.documents<SendRow>('codeSends')
  return {
    count: async (counter, nowMs) => {
      const { _id } = counter
      const remembered = Math.max(...counter.limits.map(({ max }) => max))
      const expiresMs = nowMs + Math.max(...counter.limits.map(({ windowMs }) => windowMs))
      for (let round = 0; round < roundsMax; round += 1) {
        const filter = { _id, ...freePlaces(counter, { remembered, nowMs }) }
        const counted = await sends.update(filter, {
          $push: { timesMs: { $each: [nowMs], $slice: -remembered } },
          $set: { expiresMs },
        })
        if (counted) return null
        const timesMs = [...Array.from({ length: remembered - 1 }, () => 0), nowMs]
        if (await sends.insert({ _id, timesMs, expiresMs })) return null
        const refusal = refusalOf(await sends.findById(_id), counter, nowMs)
        if (refusal !== null) return refusal
      }
      const [limit = { max: 0, windowMs: 0 }] = counter.limits
      return { limit, untilMs: nowMs + 1000 }
    },
    removeExpired: async (nowMs) => {
      await sends.removeMany({ expiresMs: { $lte: nowMs } })
    },
  }
}

type Moment = { readonly remembered: number; readonly nowMs: number }

/** The send that is `max` back must lie before the window: an exact sliding window. */
function freePlaces({ limits }: SendCounter, { remembered, nowMs }: Moment) {
  return Object.fromEntries(
    limits.map(({ max, windowMs }) => [`timesMs.${remembered - max}`, { $lte: nowMs - windowMs }]),
  )
}

function refusalOf(row: SendRow | null, counter: SendCounter, nowMs: number): SendRefusal | null {
  const waits = counter.limits.map((limit) => {
    const timeMs = row?.timesMs.at(-limit.max) ?? 0
    return { limit, untilMs: timeMs + limit.windowMs }
  })
  const [longest] = waits.toSorted((left, right) => right.untilMs - left.untilMs)
  return longest !== undefined && longest.untilMs > nowMs ? longest : null
}
