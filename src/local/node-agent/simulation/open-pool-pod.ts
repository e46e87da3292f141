import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { readKey } from '../../../platform/pool-pod/read-key.ts'
import { startPoolServer } from '../../../platform/pool-pod/server.ts'
import { poolEnvironment } from '../../../shared/domain/pod-contract.ts'
import type { Clock } from '../../../shared/clock.ts'
import { poolPort } from '../../../shared/wire/pool.ts'
import { planContainer } from '../container-plan.ts'
import { runFolder } from '../container-process.ts'
import type { PodPlace } from '../environment.ts'
import type { Image } from '../image-map.ts'
import type { Container } from '../pod.ts'
import { writeVolumes } from '../volumes.ts'
import { FakePoolPod } from './fake-pool-pod.ts'
import type { Simulation } from './simulation.ts'

/** What it is shows in each of its answers. */
const fakeName = 'fake-pool-pod'

/** What a pool pod reads of its environment. */
const settingsSchema = z.object({
  [poolEnvironment.models]: z.string().min(1),
  [poolEnvironment.slots]: z.coerce.number().int().min(1).max(16),
  [poolEnvironment.keyFile]: z.string().min(1),
})

export type OpenPoolPod = {
  readonly pod: FakePoolPod
  /** Resolves when its slots have their models, or it was closed. */
  readonly load: () => Promise<void>
  readonly close: () => Promise<void>
}

export type PoolPodParts = {
  readonly container: Container
  readonly place: PodPlace
  readonly image: Image
  readonly simulation: Simulation
  readonly clock: Clock
  readonly onError: (error: unknown) => void
}

export function isPoolContainer({ env = [] }: Container): boolean {
  return env.some(({ name }) => name === poolEnvironment.pool)
}

/**
 * Opens a fake pool pod at the pod's own address, with the environment and the key that a real one
 * would have. Throws when its Secret is missing, its variables are wrong or the address is taken.
 */
export async function openPoolPod(parts: PoolPodParts): Promise<OpenPoolPod> {
  const { container, place, image, simulation, clock, onError } = parts
  await writeVolumes(place)
  const files = runFolder(place.folder, container.name, 0)
  const { environment } = await planContainer(container, { place, image, files })
  const settings = settingsSchema.parse(environment)
  const key = await readKey(settings[poolEnvironment.keyFile])
  const closing = new AbortController()
  const pod = new FakePoolPod({
    runner: `fake-${randomUUID()}`,
    models: settings[poolEnvironment.models].split(','),
    slots: settings[poolEnvironment.slots],
    simulation,
  })
  const server = await startPoolServer({
    listen: { host: place.podIp, port: poolPort },
    pool: pod,
    name: fakeName,
    readKey: async () => key,
    clock,
    newId: () => fakeName,
    onError,
  })
  return {
    pod,
    load: async () => await pod.start(closing.signal),
    close: async () => {
      closing.abort()
      pod.cancelAll()
      await server.close()
    },
  }
}
