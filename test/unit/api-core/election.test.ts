import { describe, expect, it } from 'vitest'
import { openElection } from '../../../src/api/tasks/election.ts'

/** A lease whose answers the test gives one by one. */
function answeredLease() {
  const waiting: PromiseWithResolvers<boolean>[] = []
  return {
    acquire: async () => {
      const answer = Promise.withResolvers<boolean>()
      waiting.push(answer)
      return await answer.promise
    },
    release: async () => await Promise.resolve(),
    answer: (held: boolean) => waiting.shift()?.resolve(held),
    fail: () => waiting.shift()?.reject(new Error('the database is away')),
  }
}

async function lead() {
  const lease = answeredLease()
  let elected = 0
  const election = openElection(lease, () => (elected += 1))
  const won = election.campaign()
  lease.answer(true)
  await won
  return { lease, election, elected: () => elected }
}

describe('the election', () => {
  it('keeps leading while it renews, so that no change is missed', async () => {
    const { lease, election, elected } = await lead()
    const renewed = election.campaign()
    expect(election.isLeader()).toBe(true)
    lease.answer(true)
    await renewed
    expect(election.isLeader()).toBe(true)
    expect(elected()).toBe(1)
  })

  it('stops leading when another replica has the lease, and is elected anew later', async () => {
    const { lease, election, elected } = await lead()
    const lost = election.campaign()
    lease.answer(false)
    await lost
    expect(election.isLeader()).toBe(false)
    const won = election.campaign()
    lease.answer(true)
    await won
    expect(elected()).toBe(2)
  })

  it('stops leading when the lease cannot be reached', async () => {
    const { lease, election } = await lead()
    const failed = election.campaign()
    lease.fail()
    await expect(failed).rejects.toThrow('away')
    expect(election.isLeader()).toBe(false)
  })
})
