import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../../src/platform/clock/system-clock.ts'
import { deleteObject } from '../../../../src/platform/kube/objects.ts'
import { leases } from '../../../../src/platform/kube/resources.ts'
import { annotations } from '../../../../src/shared/names.ts'
import { eventually } from '../../../support/eventually.ts'
import {
  DEADLINE_MS,
  LEASE_SECONDS,
  type LeaseScene,
  withLease,
} from '../../../support/lease-scene.ts'

/** Several tries of a candidate, each 2 to 4.4 s after the last. */
const SOME_TRIES_MS = 10_000
/** Short enough to wait until it has run out. */
const short = { leaseSeconds: 6 }
/** By a clock that stands still nothing ever runs out. */
const stopped = { monotonicMs: () => 0 }

function clockOf(skewMs: number) {
  return { nowMs: () => systemClock.nowMs() + skewMs }
}

/** Plays a scene with a clock that is an hour ahead, and another one with one that is behind. */
async function onBothSides(play: (scene: LeaseScene, skewMs: number) => Promise<void>) {
  const skews = [3_600_000, -3_600_000]
  await Promise.all(
    skews.map(async (skewMs) => await withLease(async (scene) => await play(scene, skewMs))()),
  )
}

// Each test mostly waits for a lease to run out, so they wait together.
describe.concurrent('an election', () => {
  it(
    'makes one of three the leader, and the Lease says who and where',
    withLease(async (scene) => {
      const address = 'http://10.0.0.7:8084'
      const all = ['a', 'b', 'c'].map((name) => scene.stand(name, { address }))
      const winner = await Promise.race(
        all.map(async (one) => {
          await one.leading()
          return one.identity
        }),
      )
      await sleep(SOME_TRIES_MS)
      expect(scene.leaders()).toEqual([winner])
      const { metadata, spec } = await eventually(async () => {
        const lease = await scene.lease()
        const { renewTime = '', acquireTime = '' } = lease.spec ?? {}
        expect(Date.parse(renewTime)).toBeGreaterThan(Date.parse(acquireTime))
        return lease
      })
      expect(metadata.annotations).toEqual({ [annotations.leaderAddress]: address })
      expect(spec).toMatchObject({
        holderIdentity: winner,
        leaseDurationSeconds: LEASE_SECONDS,
        leaseTransitions: 0,
        acquireTime: expect.stringMatching(/\.\d{6}Z$/),
      })
    }),
  )

  it(
    'lets a successor begin at once when the leader gives its lease back',
    withLease(async (scene) => {
      const first = scene.stand('first', { address: 'http://first' })
      await first.leading()
      const second = scene.stand('second', stopped)
      const before = await scene.lease()
      await first.stop()
      expect(first.isLeading()).toBe(false)
      await second.leading()
      expect(scene.leaders()).toEqual(['second'])
      const { metadata, spec } = await scene.lease()
      expect(spec).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 })
      expect(spec!.acquireTime).not.toBe(before.spec!.acquireTime)
      expect(metadata.annotations ?? {}).not.toHaveProperty(annotations.leaderAddress)
    }),
  )

  it(
    'leaves a lease behind that nobody holds and that leads nobody to an address',
    withLease(async (scene) => {
      const only = scene.stand('only', { address: 'http://only' })
      await only.leading()
      await only.stop()
      const { metadata, spec } = await scene.lease()
      expect(spec?.holderIdentity).toBeUndefined()
      expect(metadata.annotations ?? {}).toEqual({})
    }),
  )

  it.for(['is cut off from the API server', 'gets no answers any more'])(
    'ends the lead of one that %s before anybody else leads',
    async (how) => {
      await withLease(async (scene) => {
        const { proxy, client } = await scene.openProxy()
        const holder = scene.stand('holder', { client, ...short })
        await holder.leading()
        const other = scene.stand('other', short)
        const leadsWhile = other.leading().then(() => holder.isLeading())
        if (how.startsWith('is cut off')) await proxy.goDown()
        else proxy.inject({ verb: 'other', fault: { kind: 'Hang' }, times: Infinity })
        const reason = await holder.lost()
        expect(reason.message).toContain('could not be renewed in time')
        expect(holder.isLeading()).toBe(false)
        expect(await leadsWhile).toBe(false)
        expect((await scene.lease()).spec).toMatchObject({
          holderIdentity: 'other',
          leaseTransitions: 1,
        })
        // It asks for nothing more: its process ends.
        if (!proxy.requests.some(({ fault }) => fault?.kind === 'Hang')) await proxy.comeBack()
        const asked = proxy.requests.length
        await sleep(1_000)
        expect(proxy.requests.length).toBe(asked)
        expect(scene.leaders()).toEqual(['other'])
      })()
    },
  )

  it(
    'ends by the clock alone, should the event loop be blocked, and for good',
    withLease(async (scene) => {
      let aheadMs = 0
      const frozen = scene.stand('frozen', { monotonicMs: () => performance.now() + aheadMs })
      await frozen.leading()
      // No turn of the event loop lies between the jump of the clock and the question.
      aheadMs = DEADLINE_MS
      expect(frozen.isLeading()).toBe(false)
      await expect(frozen.lost()).resolves.toMatchObject({ code: 'platform.unavailable' })
      expect(frozen.isLeading()).toBe(false)
    }),
  )

  it(
    'is not disturbed by somebody who writes to the Lease',
    withLease(async (scene) => {
      const leader = scene.stand('leader')
      await leader.leading()
      const before = await scene.lease()
      await scene.patchLease({ metadata: { annotations: { note: 'x' }, labels: { note: 'x' } } })
      await eventually(async () => {
        const { spec } = await scene.lease()
        expect(spec?.renewTime).not.toBe(before.spec?.renewTime)
      })
      const { metadata, spec } = await scene.lease()
      expect(spec).toMatchObject({ holderIdentity: 'leader', leaseTransitions: 0 })
      expect(spec?.acquireTime).toBe(before.spec?.acquireTime)
      expect(metadata.annotations).toEqual({ note: 'x' })
      expect(leader.isLeading()).toBe(true)
      expect(leader.errors).toEqual([])
    }),
  )

  it(
    'goes to somebody else who has taken the Lease, and is not taken back',
    withLease(async (scene) => {
      const predecessorPrefix = 'pod_'
      const leader = scene.stand('pod_1', { predecessorPrefix })
      await leader.leading()
      await scene.patchLease({ spec: { holderIdentity: 'pod_2' } })
      const reason = await leader.lost()
      expect(reason.message).toContain('pod_2 has taken it')
      await leader.stop()
      expect((await scene.lease()).spec?.holderIdentity).toBe('pod_2')
    }),
  )

  it(
    'goes on when the Lease is deleted',
    withLease(async (scene) => {
      const leader = scene.stand('leader')
      await leader.leading()
      const { metadata } = await scene.lease()
      await deleteObject(scene.admin, leases, metadata)
      const anew = await eventually(async () => await scene.lease())
      expect(anew.metadata.uid).not.toBe(metadata.uid)
      expect(anew.spec?.holderIdentity).toBe('leader')
      expect(leader.isLeading()).toBe(true)
    }),
  )

  it('does not care whose clock is wrong by an hour, and which way', async () => {
    await onBothSides(async (scene, skewMs) => {
      const leader = scene.stand('leader', { clock: clockOf(skewMs) })
      await leader.leading()
      scene.stand('right')
      scene.stand('wrong', { clock: clockOf(-skewMs) })
      await sleep(SOME_TRIES_MS)
      expect(scene.leaders()).toEqual(['leader'])
      expect((await scene.lease()).spec?.leaseTransitions).toBe(0)
    })
  })

  it('waits as long as the holder said, whatever time the holder wrote', async () => {
    await onBothSides(async (scene, skewMs) => {
      const renewTime = new Date(systemClock.nowMs() + skewMs).toISOString().replace('Z', '000Z')
      await scene.createLease({ holderIdentity: 'gone', leaseDurationSeconds: 2, renewTime })
      const patient = scene.stand('patient', { ...stopped, ...short })
      const next = scene.stand('next', short)
      await next.leading()
      await sleep(1_000)
      expect(patient.isLeading()).toBe(false)
      expect((await scene.lease()).spec?.leaseTransitions).toBe(1)
    })
  })

  it(
    'does not wait for an earlier process of the same pod, which has ended',
    withLease(async (scene) => {
      await scene.createLease({ holderIdentity: 'pod-a_1', leaseDurationSeconds: 300 })
      const stranger = scene.stand('pod-ab_1', { predecessorPrefix: 'pod-ab_' })
      const unnamed = scene.stand('pod-a_3')
      await sleep(1_000)
      expect([stranger.isLeading(), unnamed.isLeading()]).toEqual([false, false])
      const successor = scene.stand('pod-a_2', { predecessorPrefix: 'pod-a_', ...stopped })
      await successor.leading()
      expect((await scene.lease()).spec).toMatchObject({
        holderIdentity: 'pod-a_2',
        leaseDurationSeconds: LEASE_SECONDS,
        leaseTransitions: 1,
      })
    }),
  )

  it(
    'takes a Lease that says nothing',
    withLease(async (scene) => {
      await scene.createLease({})
      await scene.stand('first', stopped).leading()
      expect((await scene.lease()).spec).toMatchObject({
        holderIdentity: 'first',
        leaseTransitions: 1,
      })
    }),
  )

  it(
    'goes on after faults, and tells them',
    withLease(async (scene) => {
      const { proxy, client } = await scene.openProxy()
      proxy.inject({ verb: 'other', fault: { kind: 'Status', status: 500 } })
      proxy.inject({ verb: 'other', fault: { kind: 'Reset' } })
      const candidate = scene.stand('candidate', {
        client,
        onError: (error) => {
          candidate.errors.push(error)
          throw new Error('reporter fault')
        },
      })
      await candidate.leading()
      expect(candidate.errors).toMatchObject([{ status: 500 }, { status: 0 }])
    }),
  )

  it(
    'is left without a trace by a candidate that never led',
    withLease(async (scene) => {
      const leader = scene.stand('leader')
      await leader.leading()
      const candidate = scene.stand('candidate')
      const waiting = candidate.leading().catch((error: unknown) => error)
      let isLost = false
      candidate.lost().then(
        () => (isLost = true),
        () => undefined,
      )
      await candidate.stop()
      expect(String(await waiting)).toContain('the election was stopped')
      await candidate.stop()
      expect([candidate.isLeading(), isLost]).toEqual([false, false])
      expect(leader.isLeading()).toBe(true)
      expect((await scene.lease()).spec?.holderIdentity).toBe('leader')
    }),
  )

  it(
    'is over for a leader that was stopped, which has not lost it',
    withLease(async (scene) => {
      const leader = scene.stand('leader')
      await leader.leading()
      let isLost = false
      leader.lost().then(
        () => (isLost = true),
        () => undefined,
      )
      await leader.stop()
      await leader.stop()
      await sleep(100)
      expect([leader.isLeading(), isLost]).toEqual([false, false])
    }),
  )
})
