import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { relayOutboxes } from '../../../src/api/features/accounts/relay.ts'
import {
  type AccountService,
  openAccountService,
} from '../../../src/api/features/accounts/service.ts'
import { type AccountStore, openAccountStore } from '../../../src/api/features/accounts/store.ts'
import { type Database, openDatabase } from '../../../src/platform/mongo/database.ts'
import { testEnvironment } from '../../support/environment.ts'
import { hash } from '../../support/ledger/processes.ts'
import { startTestClock } from './scene.ts'

export type Replica = { readonly store: AccountStore; readonly accounts: AccountService }

/** Several api processes on one database of their own: each has its connection and its queues. */
export type Replicas = {
  readonly all: readonly Replica[]
  readonly first: Replica
  readonly database: Database
  readonly relay: () => Promise<void>
  readonly close: () => Promise<void>
}

export function newId(): string {
  return randomBytes(13).toString('hex')
}

export async function openReplicas(count: number): Promise<Replicas> {
  const uri = new URL(testEnvironment().mongodbUri)
  uri.pathname = `/ledger-${randomBytes(5).toString('hex')}`
  const clock = startTestClock()
  const databases = await Promise.all(
    Array.from({ length: count }, async () => {
      return await openDatabase({ uri: uri.toString(), connectionsMax: 4 })
    }),
  )
  const all = databases.map((database) => {
    const store = openAccountStore(database)
    return {
      store,
      accounts: openAccountService({ store, clock, hash, random: Math.random, pause }),
    }
  })
  const [[first], [database]] = [all, databases]
  if (first === undefined || database === undefined) throw new Error('there is a replica')
  return {
    all,
    first,
    database,
    relay: async () => {
      await relayOutboxes({ store: first.store, receive: first.accounts.receive })
    },
    close: async () => {
      await Promise.all(all.map(async ({ accounts }) => await accounts.idle()))
      await database.native.dropDatabase()
      await Promise.all(databases.map(async (one) => await one.close()))
    },
  }
}
