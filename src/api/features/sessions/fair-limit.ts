import { AppError } from '../../../shared/errors.ts'

export type FairLimit = {
  /** Runs the work when its turn comes. Throws `rate.limited` when too much waits already. */
  readonly run: <T>(from: string, work: () => Promise<T>) => Promise<T>
  /** What this sender asked for was right, and does not count against them. */
  readonly forgive: (from: string) => void
}

export type FairLimits = {
  readonly concurrentMax: number
  readonly waitingMax: number
  /** Of one sender. */
  readonly waitingPerSenderMax: number
}

type Waiting = {
  readonly from: string
  readonly start: () => void
  readonly refuse: (error: AppError) => void
}

/** After so many notes what was noted before counts half: lately is a matter of load, not time. */
const halveEvery = 512

/**
 * Runs at most so much at once. Whose turn it is goes by what each sender has asked for and got
 * lately: senders who ask the same take turns, and somebody who comes seldom is next however many
 * ask much. Where the list is full, who has asked most is refused, be it one who waits.
 */
export function createFairLimit(limits: FairLimits): FairLimit {
  const share = countShares()
  const waiting: Waiting[] = []
  let running = 0

  const enter = async (from: string): Promise<void> => {
    share.note(from)
    if (running < limits.concurrentMax) {
      running += 1
      share.note(from)
      return
    }
    const own = waiting.filter((one) => one.from === from).length
    const { waitingMax, waitingPerSenderMax } = limits
    if (own >= waitingPerSenderMax) throw tooMany(waitingPerSenderMax)
    await new Promise<void>((start, refuse) => {
      waiting.push({ from, start, refuse })
      if (waiting.length > waitingMax) takeOut(-1)?.refuse(tooMany(waitingMax))
    })
  }

  /** By turn: 0 is the next, −1 the last. Of equals the longest waiting is first. */
  const takeOut = (place: 0 | -1): Waiting | undefined => {
    const byShare = waiting.toSorted((a, b) => share.of(a.from) - share.of(b.from))
    const one = byShare.at(place)
    if (one !== undefined) waiting.splice(waiting.indexOf(one), 1)
    return one
  }

  /** The place goes straight to the next one, so that nobody can slip in between. */
  const leave = (): void => {
    const next = takeOut(0)
    if (next === undefined) {
      running -= 1
      return
    }
    share.note(next.from)
    next.start()
  }

  return {
    run: async (from, work) => {
      await enter(from)
      try {
        return await work()
      } finally {
        leave()
      }
    },
    forgive: share.forget,
  }
}

/** Counts for each sender; bounded, because those who are silent fade away. */
function countShares() {
  const counts = new Map<string, number>()
  let notes = 0
  return {
    note: (from: string): void => {
      notes += 1
      if (notes % halveEvery === 0) halve(counts)
      counts.set(from, (counts.get(from) ?? 0) + 1)
    },
    of: (from: string): number => counts.get(from) ?? 0,
    forget: (from: string): void => void counts.delete(from),
  }
}

function halve(counts: Map<string, number>): void {
  for (const [from, count] of counts) {
    if (count === 1) counts.delete(from)
    else counts.set(from, Math.floor(count / 2))
  }
}

/** One more would wait than may. */
function tooMany(limit: number): AppError {
  const details = { limit, count: limit + 1 }
  return new AppError('rate.limited', 'too many sign-ins at once', {
    details,
    retryAfterSeconds: 2,
  })
}
