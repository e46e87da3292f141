import { readFile } from 'node:fs/promises'
import type { TestProject } from 'vitest/node'
import { z } from 'zod'
import { openAdminClient } from '../../src/local/environment.ts'
import { applyPlatform } from '../../src/local/manifests.ts'
import { readLocalConfig } from '../../src/platform/config/local.ts'
import type { TestEnvironment } from './environment.ts'
import { refuseCanaries } from './canary.ts'
import { openTestFoundation, type TestFoundation } from './foundation.ts'
import { readDatabases, readLogs, readRedis } from './remains.ts'

const environmentFile = z.object({
  kubeconfigPath: z.string(),
  mongodbUri: z.string(),
  redisUrl: z.string(),
  kubectl: z.array(z.string()),
})

/**
 * Starts the real parts once for all test files, or uses those that ATELIER_TEST_ENVIRONMENT
 * describes. The returned function stops what was started; it throws, and the run fails, when a
 * password that tests sign in with was written down in clear or in any other form.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { testEnvironmentFile } = readLocalConfig()
  if (testEnvironmentFile !== undefined) {
    const text = await readFile(testEnvironmentFile, 'utf8')
    project.provide('environment', await useExisting(environmentFile.parse(JSON.parse(text))))
    return () => Promise.resolve()
  }
  const foundation = await openTestFoundation()
  for (const line of foundation.descriptions) process.stdout.write(`  ${line}\n`)
  project.provide('environment', foundation.environment)
  return async () => await end(foundation)
}

async function end(foundation: TestFoundation): Promise<void> {
  try {
    refuseCanaries(await readRemains(foundation))
  } finally {
    await foundation.stop()
  }
}

/** What is left of all tests; a server that is not ours is nobody's business. */
async function readRemains({ environment, logFolder }: TestFoundation) {
  const { mongodbUri, redisUrl } = readLocalConfig()
  return [
    ...(await readLogs(logFolder)),
    ...(mongodbUri === undefined ? await readDatabases(environment.mongodbUri) : []),
    ...(redisUrl === undefined ? await readRedis(environment.redisUrl) : []),
  ]
}

async function useExisting(environment: TestEnvironment): Promise<TestEnvironment> {
  const client = openAdminClient(environment.kubeconfigPath)
  await applyPlatform(client, new AbortController().signal)
  await client.close()
  return environment
}
