export type PeriodicOptions = {
  readonly everyMs: number
  readonly run: () => Promise<void>
  /** Told of every failure; the next turn comes anyway. */
  readonly onError: (error: unknown) => void
}

export type Periodic = { readonly stop: () => Promise<void> }

/** Runs at once and then again `everyMs` after each end; never twice at the same time. */
export function startPeriodic({ everyMs, run, onError }: PeriodicOptions): Periodic {
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  const turn = async () => {
    await run().catch(onError)
    if (!stopped) timer = setTimeout(start, everyMs)
  }
  const start = () => {
    running = turn()
  }
  let running = turn()
  return {
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
