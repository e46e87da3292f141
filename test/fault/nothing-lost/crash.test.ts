import { describe, expect, it } from 'vitest'
import { startKueue } from '../../support/kueue/start.ts'
import { openAdminClient } from '../../support/kube.ts'
import { longTests } from '../../support/long.ts'
import { seed } from '../../support/seed.ts'
import { killAnywhere } from './crash-kills.ts'
import { openDedicatedLane, openPooledLane, openQuotaLane } from './crash-lanes.ts'
import { play, quotaScenarios, scenarios } from './crash-plays.ts'
import { poolScenarios } from './crash-pool-scenarios.ts'
import { openPoolLane, playPool } from './crash-pools.ts'
import { openStatusLane, playStatus, statusScenarios } from './crash-statuses.ts'

const timeout = longTests ? 3_600_000 : 300_000
const ofJobs = { play, row: [3, 3, 3, 3], scenarios }
const ofPools = { play: playPool, row: [1, 1, 1, 1], scenarios: poolScenarios }
const ofStatuses = { play: playStatus, row: [1, 1, 1, 1], scenarios: statusScenarios }

/** The last writes of a play need not come. */
const most = 0.7

describe.concurrent('4: a controller is killed after any of its writes', { timeout }, () => {
  it(`of jobs in pods of their own (seed ${seed})`, async () => {
    const share = await killAnywhere({ ...ofJobs, open: openDedicatedLane, lanes: 4 })
    expect(share).toBeGreaterThan(most)
  })

  it(`of jobs in slots of a pool (seed ${seed})`, async () => {
    const share = await killAnywhere({ ...ofJobs, open: openPooledLane, lanes: 2 })
    expect(share).toBeGreaterThan(most)
  })

  it(`of ModelPools (seed ${seed})`, async () => {
    const share = await killAnywhere({ ...ofPools, open: openPoolLane, lanes: 3 })
    expect(share).toBeGreaterThan(most)
  })
})

describe('4: the only controller is killed after any of its writes', { timeout }, () => {
  it(`of Models and Departments (seed ${seed})`, async () => {
    const share = await killAnywhere({ ...ofStatuses, open: openStatusLane, lanes: 1 })
    expect(share).toBeGreaterThan(most)
  })

  // Every controller of the cluster would notice Kueue, which is there for this one only.
  it.each(longTests ? [seed] : [])('of jobs that Kueue has a quota for (seed %i)', async () => {
    const admin = openAdminClient()
    const kueue = await startKueue(admin)
    try {
      const withKueue = { ...ofJobs, scenarios: [...scenarios, ...quotaScenarios] }
      const share = await killAnywhere({ ...withKueue, open: openQuotaLane, lanes: 4 })
      expect(share).toBeGreaterThan(most)
    } finally {
      await kueue.stop()
      await admin.close()
    }
  })
})
