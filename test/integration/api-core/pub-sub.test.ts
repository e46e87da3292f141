import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { type JobEvent, openJobEvents } from '../../../src/api/features/jobs/events.ts'
import { openPubSub, type PubSub } from '../../../src/platform/redis/pub-sub.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'

const open: PubSub[] = []

function connect(prefix: string, url = testEnvironment().redisUrl): PubSub {
  const pubSub = openPubSub({ url, prefix, onError: () => {} })
  open.push(pubSub)
  return pubSub
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((pubSub) => pubSub.close()))
})

function newPrefix(): string {
  return `${randomBytes(5).toString('hex')}:`
}

const owner = { department: 'quality', user: 'ada' }

describe('job events', () => {
  it('reach those who watch the job or its owner, in other processes too', async () => {
    const prefix = newPrefix()
    const [near, far] = [connect(prefix), connect(prefix)]
    const ofJob: JobEvent[] = []
    const ofUser: JobEvent[] = []
    const events = openJobEvents(far)
    events.onJob('j1', (event) => ofJob.push(event))
    events.onUser('ada', (event) => ofUser.push(event))
    await eventually(() => expect([near.isConnected(), far.isConnected()]).toEqual([true, true]))
    await far.flushed()
    const sender = openJobEvents(near)
    sender.publish({ jobId: 'j2', revision: 1 }, owner)
    sender.publish({ jobId: 'j1', revision: 2 }, { department: 'quality', user: null })
    sender.publish({ jobId: 'j1', revision: 3 }, owner)
    await eventually(() => expect(ofUser).toHaveLength(2))
    expect(ofJob.map(({ revision }) => revision)).toEqual([2, 3])
    expect(ofUser.map(({ jobId }) => jobId)).toEqual(['j2', 'j1'])
  })

  it('carry previews to those who watch the job, not to the owner’s list', async () => {
    const pubSub = connect(newPrefix())
    const events = openJobEvents(pubSub)
    const [ofJob, ofUser]: [JobEvent[], JobEvent[]] = [[], []]
    events.onJob('j', (event) => ofJob.push(event))
    events.onUser('ada', (event) => ofUser.push(event))
    await eventually(() => expect(pubSub.isConnected()).toBe(true))
    await pubSub.flushed()
    const counts = { step: 1, steps: 2, imagesDone: 0, images: 1, stepsDone: 1 }
    const progress = { sequence: 1, stage: 'Denoising' as const, ...counts }
    events.publish({ jobId: 'j', revision: 1, progress: { ...progress, preview: 'AAAA' } }, owner)
    await eventually(() => expect(ofUser).toHaveLength(1))
    expect(ofUser[0]?.progress).toEqual(progress)
    await eventually(() => expect(ofJob[0]?.progress).toEqual({ ...progress, preview: 'AAAA' }))
  })

  it('stop when the subscription is closed, for that listener only', async () => {
    const pubSub = connect(newPrefix())
    const events = openJobEvents(pubSub)
    const [kept, closed]: [number[], number[]] = [[], []]
    events.onJob('j', ({ revision }) => kept.push(revision))
    const subscription = events.onJob('j', ({ revision }) => closed.push(revision))
    await eventually(() => expect(pubSub.isConnected()).toBe(true))
    await pubSub.flushed()
    events.publish({ jobId: 'j', revision: 1 }, owner)
    await eventually(() => expect(kept).toEqual([1]))
    subscription.close()
    subscription.close()
    events.publish({ jobId: 'j', revision: 2 }, owner)
    await eventually(() => expect(kept).toEqual([1, 2]))
    expect(closed).toEqual([1])
  })

  it('are not made of whatever else lies in Redis', async () => {
    const pubSub = connect(newPrefix())
    const seen: JobEvent[] = []
    openJobEvents(pubSub).onJob('j', (event) => seen.push(event))
    await eventually(() => expect(pubSub.isConnected()).toBe(true))
    await pubSub.flushed()
    for (const message of ['not json', '{}', 'null', '{"jobId":1}'])
      pubSub.publish('job:j', message)
    openJobEvents(pubSub).publish({ jobId: 'j', revision: 9 }, owner)
    await eventually(() => expect(seen).toHaveLength(1))
    expect(seen[0]?.revision).toBe(9)
  })
})

describe('without Redis', () => {
  it('nothing arrives, nothing throws and nobody waits', async () => {
    const pubSub = connect(newPrefix(), 'redis://127.0.0.1:1')
    const events = openJobEvents(pubSub)
    const subscription = events.onJob('j', () => {})
    for (let revision = 0; revision < 5000; revision += 1) {
      events.publish({ jobId: 'j', revision }, owner)
    }
    await pubSub.flushed()
    expect(pubSub.isConnected()).toBe(false)
    subscription.close()
  })
})
