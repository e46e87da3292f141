import type { Database } from '../../../platform/mongo/database.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { RandomBytes } from '../../../shared/domain/job-id.ts'
import type { LeaderTask, People } from '../../people.ts'
import { type ApiKeyService, createApiKeyService } from './service.ts'
import { createApiKeyStore } from './store.ts'
import { createKeyVerifier, type VerifyKey } from './verify.ts'

export type ApiKeyDeps = {
  readonly people: People
  readonly database: Database
  readonly clock: Clock
  readonly randomBytes: RandomBytes
}

export type ApiKeys = {
  readonly service: ApiKeyService
  readonly verify: VerifyKey
  readonly leaderTasks: readonly LeaderTask[]
}

/** Dead keys stay for so long, for questions about them. */
const keptMs = 30 * 86_400_000

export function openApiKeys({ people, database, clock, randomBytes }: ApiKeyDeps): ApiKeys {
  const store = createApiKeyStore(database)
  return {
    service: createApiKeyService({ ...people, store, clock, randomBytes }),
    verify: createKeyVerifier({ ...people, store, clock }),
    leaderTasks: [
      {
        name: 'remove-api-keys',
        everyMs: 3_600_000,
        run: async () => await store.removeDead(clock.nowMs() - keptMs),
      },
    ],
  }
}
