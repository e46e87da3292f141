import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { resolveKubectl } from '../../src/local/components/kubernetes-programs.ts'
import { planFoundation, startFoundation } from '../../src/local/environment.ts'
import { freePorts } from '../../src/local/ports.ts'
import { endDeadRun, openRunRecord } from '../../src/local/run-record.ts'
import { type LocalProcess, Supervisor } from '../../src/local/supervisor.ts'
import { systemClock } from '../../src/platform/clock/system-clock.ts'
import { readLocalConfig } from '../../src/platform/config/local.ts'
import type { TestEnvironment } from './environment.ts'

const folderPrefix = 'atelier-test-'
/** Folders of runs like ours: this one's and test/support/atelier.ts's. */
const runFolder = /^atelier-(test|e2e)-/

/** Kubernetes, database and Redis of our own, in a fresh folder on free ports, without fsync. */
export type TestFoundation = {
  readonly environment: TestEnvironment
  /** One line per part: what it is and where it comes from. */
  readonly descriptions: readonly string[]
  readonly processes: () => readonly LocalProcess[]
  /** Every part writes a log there. */
  readonly logFolder: string
  readonly stop: () => Promise<void>
}

export async function openTestFoundation(): Promise<TestFoundation> {
  await endDeadRuns()
  const config = readLocalConfig()
  const { signal } = new AbortController()
  const folder = await mkdtemp(join(tmpdir(), folderPrefix))
  const record = await openRunRecord(join(folder, 'run.json'))
  const logFolder = join(folder, 'logs')
  const supervisor = new Supervisor({ logFolder, record, signal })
  const stop = async (): Promise<void> => {
    await supervisor.stopAll()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const { kubeconfigPath, mongodbUri, redisUrl, descriptions } = await startFoundation(
      supervisor,
      {
        plan: await planFoundation(config, signal),
        config,
        folder,
        ports: await freePorts(),
        durable: false,
        clock: systemClock,
        signal,
      },
    )
    const kubectl = [...(await resolveKubectl(config, signal))]
    const environment = { kubeconfigPath, mongodbUri, redisUrl, kubectl }
    return { environment, descriptions, processes: () => supervisor.processes, logFolder, stop }
  } catch (error) {
    await stop()
    throw error
  }
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
