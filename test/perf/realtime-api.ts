import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import process from 'node:process'
import { pino } from 'pino'
import { z } from 'zod'
import { openApiCore } from '../../src/api/composition.ts'
import { createApiMetrics } from '../../src/api/metrics.ts'
import { openPublicApi } from '../../src/api/public.ts'
import { systemClock } from '../../src/platform/clock/system-clock.ts'
import { openKubeClient } from '../../src/platform/kube/client.ts'
import { createRegistry } from '../../src/platform/metrics/registry.ts'
import { openFolderStore } from '../../src/platform/objects/folder-store.ts'
import { createSeal } from '../../src/platform/seal/seal.ts'

/** What the bench tells its api process, as JSON in the first argument. */
export const realtimeApiOptions = z.object({
  kubeconfigPath: z.string(),
  mongodbUri: z.string(),
  redisUrl: z.string(),
  redisPrefix: z.string(),
  folder: z.string(),
  accountsFile: z.string(),
  socketsMax: z.int(),
})

/**
 * The public port in a process of its own, as `src/api/main.ts` opens it, but for two things: one
 * person may have all sockets, and no background task looks for the bench's invented jobs.
 */
async function run(): Promise<void> {
  const options = realtimeApiOptions.parse(JSON.parse(process.argv[2] ?? ''))
  const { kubeconfigPath, folder, accountsFile, socketsMax } = options
  const publicUrl = 'http://bench.test'
  const shared = {
    ...options,
    publicUrl,
    mailFrom: 'Atelier <atelier@bench.test>',
    urlKey: randomBytes(32),
    seal: createSeal(randomBytes(32), randomBytes),
    clock: systemClock,
    randomBytes,
    log: pino({ level: 'warn' }, process.stderr),
  }
  const core = await openApiCore({
    ...shared,
    kube: openKubeClient({ kubeconfigPath, userAgent: 'atelier-bench' }),
    internalUrl: 'http://internal.test',
    objects: await openFolderStore(join(folder, 'objects')),
    random: Math.random,
  })
  const api = await openPublicApi({
    ...shared,
    core,
    metrics: createApiMetrics(createRegistry('api')),
    rateLimits: false,
    realtimeLimits: { perUserMax: socketsMax, totalMax: socketsMax },
  })
  await api.loadDemoAccounts(accountsFile)
  process.send?.({ address: await api.app.listen({ host: '127.0.0.1', port: 0 }) })
  process.once('message', () => process.exit(0))
}

await run()
