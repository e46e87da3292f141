import { type CountingClient, dyingAfter } from '../../integration/controller/dying-client.ts'
import type { World } from '../../integration/controller/world.ts'

export type Lives = {
  /** Writes after which one controller after the other dies. */
  readonly deaths: readonly number[]
  /** Which paths are writes that a controller may die after. */
  readonly counts: (path: string) => boolean
}

export type Outlived<T> = {
  readonly result: T
  /** Of the first controller. */
  readonly writes: readonly string[]
}

/**
 * Does some work while each controller is killed after so many writes and then followed by the
 * next; the last one lives on until the work is done.
 */
export async function outlive<T>(
  world: World,
  { deaths, counts }: Lives,
  work: () => Promise<T>,
): Promise<Outlived<T>> {
  const over = new AbortController()
  const lives = [...deaths, Infinity].map((fatalWrite) => dyingAfter(fatalWrite, counts))
  const living = live(world, lives, over.signal)
  // Told below: without a controller nothing ends.
  living.catch(() => undefined)
  try {
    const result = await work()
    return { result, writes: lives[0]?.writes ?? [] }
  } finally {
    over.abort()
    await living
  }
}

async function live(world: World, lives: readonly CountingClient[], over: AbortSignal) {
  const isOver = new Promise<void>((resolve) => {
    over.addEventListener('abort', () => resolve(), { once: true })
  })
  for (const { wrap, died } of lives) {
    if (over.aborted) return
    const controller = await world.startController(wrap)
    await Promise.race([died, isOver])
    await controller.stop()
  }
}

/**
 * Models belong to the whole cluster, and whoever lives looks after those of others. Nothing
 * depends on events, which are written aside; a patch of a key reads it: see the policy.
 */
export function isOwnWrite({ namespace }: World, path: string): boolean {
  const isAside = path.includes('/events') || path.includes('/secrets/')
  return path.includes(`/namespaces/${namespace}/`) && !isAside
}
