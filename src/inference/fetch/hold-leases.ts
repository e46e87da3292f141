import { readPackLeases } from '../../platform/config/fetch.ts'
import { createLogger } from '../../platform/log/logger.ts'
import { takeLease } from './lease.ts'
import { fetchTiming } from './limits.ts'

/**
 * Takes the leases of this pod over from its init container until the work is over. A lease that
 * cannot be written does not stop the work: at worst a pack is evicted, and fetched once more.
 */
export async function holdLeases(work: Promise<unknown>): Promise<void> {
  const log = createLogger({ process: 'leases' })
  const onError = (error: unknown) => log.warn({ error }, 'a lease of a pack cannot be written')
  await Promise.all(
    readPackLeases().map(async (file) => {
      await holdLease(file, work, onError).catch(onError)
    }),
  )
}

async function holdLease(
  file: string,
  work: Promise<unknown>,
  onError: (error: unknown) => void,
): Promise<void> {
  const lease = await takeLease(file, { onError, beatMs: fetchTiming.leaseBeatMs })
  await work
  await lease.end()
}
