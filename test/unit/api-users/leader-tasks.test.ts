import { describe, expect, test } from 'vitest'
import { createErrands } from '../../../src/api/features/users/errands.ts'
import { createGuestRemoval } from '../../../src/api/features/users/guest-removal.ts'
import type { UserRow } from '../../../src/api/features/users/store.ts'
import { freeMembership } from '../../../src/shared/domain/membership.ts'
import { defaultSettings } from '../../../src/shared/domain/settings.ts'

const personOf = (_id: string): UserRow => ({
  _id,
  email: `${_id}@site.example`,
  name: _id,
  language: 'en',
  role: 'guest',
  department: 'quality',
  state: 'Active',
  membership: freeMembership,
  passwordHash: null,
  creationTimeMs: 0,
  updateTimeMs: 0,
  revision: 1,
  auditOutbox: [],
  errands: [{ _id: `${_id}-1`, kind: 'EndSessions', reason: 'Disabled', keepSessionId: null }],
})
const people = ['u-bad', 'u-good'].map(personOf)

/** Serves everybody but one, and remembers whom, and of whom it was warned. */
function recording() {
  const served: string[] = []
  const warned: object[] = []
  return {
    served,
    warned,
    log: { warn: (fields: object) => void warned.push(fields) },
    serve: async (userId: string): Promise<void> => {
      if (userId === 'u-bad') throw new Error('never')
      served.push(userId)
    },
  }
}

describe('a person for whom a task fails', () => {
  test('does not keep the errands of others waiting', async () => {
    const { served, warned, log, serve } = recording()
    const errands = createErrands({
      users: {
        find: async () => null,
        findWithErrands: async () => people,
        dropErrand: async () => undefined,
      },
      identities: { listOf: async () => [], release: async () => true },
      sessions: { endAll: async ({ userId }) => await serve(userId) },
      accounts: { recall: async () => ({ kind: 'Moved', microCredits: 0, sent: null }) },
      mailer: { send: async () => undefined },
      notifier: { notify: async () => undefined },
      log,
    })
    await errands.sweep()
    expect(served).toEqual(['u-good'])
    expect(warned).toMatchObject([{ id: 'u-bad', err: { message: 'never' } }])
  })

  test('keeps no later errand of theirs waiting where the ledger is at fault', async () => {
    const { served, warned, log, serve } = recording()
    const dropped: string[] = []
    const accountId = 'member:research:u-good'
    const errands = createErrands({
      users: {
        find: async () => personOf('u-good'),
        findWithErrands: async () => [],
        dropErrand: async (_user, errand) => void dropped.push(errand),
      },
      identities: { listOf: async () => [], release: async () => true },
      sessions: { endAll: async ({ userId }) => await serve(userId) },
      accounts: { recall: async () => await Promise.reject(new Error('available differs')) },
      mailer: { send: async () => undefined },
      notifier: { notify: async () => undefined },
      log,
    })
    const { errands: others = [], ...person } = personOf('u-good')
    const first = { _id: 'return', kind: 'ReturnCredits', accountId } as const
    await errands.finish({ ...person, errands: [first, ...others] }, 'test')
    expect(served).toEqual(['u-good'])
    expect(dropped).toEqual(['return', 'u-good-1'])
    expect(warned).toMatchObject([{ id: accountId, err: { message: 'available differs' } }])
  })

  test('does not keep other guests from being removed', async () => {
    const { served, warned, log, serve } = recording()
    const removal = createGuestRemoval({
      users: { page: async () => people },
      personChanges: {
        apply: async (userId) => {
          await serve(userId)
          return personOf(userId)
        },
      },
      settings: async () => defaultSettings,
      clock: { nowMs: () => 1e12 },
      log,
    })
    await removal.run()
    expect(served).toEqual(['u-good'])
    expect(warned).toMatchObject([{ id: 'u-bad' }])
  })
})
