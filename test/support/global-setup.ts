import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { z } from 'zod'
import {
  type Foundation,
  openAdminClient,
  planFoundation,
  startFoundation,
} from '../../src/local/environment.ts'
import { resolveKubectl } from '../../src/local/components/kubernetes-programs.ts'
import { applyPlatform } from '../../src/local/manifests.ts'
import { freePorts } from '../../src/local/ports.ts'
import { endDeadRun, openRunRecord } from '../../src/local/run-record.ts'
import { Supervisor } from '../../src/local/supervisor.ts'
import { readLocalConfig } from '../../src/platform/config/local.ts'
import { systemClock } from '../../src/platform/clock/system-clock.ts'
import type { TestEnvironment } from './environment.ts'

const folderPrefix = 'atelier-test-'
/** Folders of this file and of test/support/atelier.ts. */
const runFolder = /^atelier-(test|e2e)-/
const config = readLocalConfig()
const signal = new AbortController().signal

const environmentFile = z.object({
  kubeconfigPath: z.string(),
  mongodbUri: z.string(),
  redisUrl: z.string(),
  kubectl: z.array(z.string()),
})

/**
 * Starts the real parts once for all test files, in a fresh folder on free ports, or uses those
 * that ATELIER_TEST_ENVIRONMENT describes. The returned function stops them.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (config.testEnvironmentFile !== undefined) {
    const text = await readFile(config.testEnvironmentFile, 'utf8')
    project.provide('environment', await useExisting(environmentFile.parse(JSON.parse(text))))
    return () => Promise.resolve()
  }
  await endDeadRuns()
  const folder = await mkdtemp(join(tmpdir(), folderPrefix))
  const record = await openRunRecord(join(folder, 'run.json'))
  const supervisor = new Supervisor({ logFolder: join(folder, 'logs'), record, signal })
  const tearDown = async (): Promise<void> => {
    await supervisor.stopAll()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const plan = await planFoundation(config, signal)
    const ports = await freePorts()
    const foundation = await startFoundation(supervisor, {
      plan,
      config,
      folder,
      ports,
      durable: false,
      clock: systemClock,
      signal,
    })
    project.provide('environment', await describe(foundation))
    return tearDown
  } catch (error) {
    await tearDown()
    throw error
  }
}

async function describe(foundation: Foundation): Promise<TestEnvironment> {
  for (const line of foundation.descriptions) process.stdout.write(`  ${line}\n`)
  const { kubeconfigPath, mongodbUri, redisUrl } = foundation
  const kubectl = await resolveKubectl(config, signal)
  return { kubeconfigPath, mongodbUri, redisUrl, kubectl: [...kubectl] }
}

async function useExisting(environment: TestEnvironment): Promise<TestEnvironment> {
  const client = openAdminClient(environment.kubeconfigPath)
  await applyPlatform(client, signal)
  await client.close()
  return environment
}

/** A test run that was killed could not stop its processes: the next one does. */
async function endDeadRuns(): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => runFolder.test(name))
  for (const name of names) {
    const folder = join(tmpdir(), name)
    if (await endDeadRun(join(folder, 'run.json'))) {
      await rm(folder, { recursive: true, force: true })
    }
  }
}
