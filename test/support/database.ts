import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { planDatabase, startDatabase } from '../../src/local/components/database.ts'
import { freePorts } from '../../src/local/ports.ts'
import { openRunRecord } from '../../src/local/run-record.ts'
import { Supervisor } from '../../src/local/supervisor.ts'
import { readLocalConfig } from '../../src/platform/config/local.ts'

/** A database of our own and nothing else, which writes through to the disk. */
export type TestDatabase = {
  readonly uri: string
  readonly description: string
  /** SIGKILL to all its processes. */
  readonly kill: () => Promise<void>
  /** Starts it again on what it had written. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

const startsMax = 20

/** `ours`: not the one of MONGODB_URI, which is not for us to kill. */
export async function openTestDatabase({ ours = false } = {}): Promise<TestDatabase> {
  const { signal } = new AbortController()
  const folder = await mkdtemp(join(tmpdir(), 'atelier-test-'))
  const record = await openRunRecord(join(folder, 'run.json'))
  const supervisor = new Supervisor({ logFolder: join(folder, 'logs'), record, signal })
  const config = readLocalConfig()
  const plan = await planDatabase(ours ? { ...config, mongodbUri: undefined } : config, signal)
  const options = { folder, ports: await freePorts(), durable: true }
  const start = async () => await startDatabase(supervisor, plan, options)
  const stop = async () => {
    await supervisor.stopAll()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    return {
      ...(await start()),
      kill: async () => {
        for (const one of supervisor.processes) {
          one.expectEnd()
          one.kill('SIGKILL')
          await one.ended
        }
      },
      // Children of a killed PostgreSQL take a moment to notice that it is gone.
      restart: async () => {
        for (let starts = 1; ; starts += 1) {
          const isUp = await start().then(
            () => true,
            () => false,
          )
          if (isUp) return
          if (starts === startsMax) throw new Error('the killed database does not start again')
          await pause(500)
        }
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
