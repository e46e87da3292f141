import { readFile } from 'node:fs/promises'
import type { TestProject } from 'vitest/node'
import { z } from 'zod'
import { openAdminClient } from '../../src/local/environment.ts'
import { applyPlatform } from '../../src/local/manifests.ts'
import { readLocalConfig } from '../../src/platform/config/local.ts'
import type { TestEnvironment } from './environment.ts'
import { openTestFoundation } from './foundation.ts'

const environmentFile = z.object({
  kubeconfigPath: z.string(),
  mongodbUri: z.string(),
  redisUrl: z.string(),
  kubectl: z.array(z.string()),
})

/**
 * Starts the real parts once for all test files, or uses those that ATELIER_TEST_ENVIRONMENT
 * describes. The returned function stops what was started.
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
  return foundation.stop
}

async function useExisting(environment: TestEnvironment): Promise<TestEnvironment> {
  const client = openAdminClient(environment.kubeconfigPath)
  await applyPlatform(client, new AbortController().signal)
  await client.close()
  return environment
}
