import { describe, expect, it } from 'vitest'
import { keyOf } from '../../../src/platform/kube/resources.ts'
import { eventually } from '../../support/eventually.ts'
import { withScene } from '../../support/list-watch-scene.ts'
import { longTests } from '../../support/long.ts'

const OUTAGE_MS = longTests ? 30_000 : 6_000
/** For a list that is never answered: the ones after it have no more time. */
const listTimeoutMs = 5_000
const OLD_LIST = JSON.stringify({ metadata: { resourceVersion: '1' }, items: [] })

// Each test mostly waits for a back-off, so they wait together.
describe.concurrent('a list-watch in front of a faulty API server', () => {
  it(
    'lists again when the first list is answered with 500',
    withScene(async (scene) => {
      await scene.create('a')
      scene.proxy.inject({ verb: 'list', fault: { kind: 'Status', status: 500 } })
      scene.start()
      expect(scene.watched.isSynced()).toBe(false)
      await scene.watched.synced()
      await scene.expectConverged()
      expect(scene.proxy.count('list')).toBe(2)
      expect(scene.errors).toMatchObject([{ status: 500 }])
      await scene.expectAlive()
    }),
  )

  it(
    'honours Retry-After',
    withScene(async (scene) => {
      const fault = { kind: 'Status', status: 429, retryAfterSeconds: 3 } as const
      scene.proxy.inject({ verb: 'list', fault })
      scene.start()
      await scene.watched.synced()
      const [refused, accepted] = scene.proxy.requests
      expect(accepted!.atMs - refused!.atMs).toBeGreaterThanOrEqual(2_990)
      expect(scene.errors).toMatchObject([{ status: 429, retryAfterSeconds: 3 }])
    }),
  )

  it(
    'gets its first list through a refusal, a fault and a silence, and is not synced before',
    withScene(async (scene) => {
      await scene.create('a')
      const refusal = { kind: 'Status', status: 429, retryAfterSeconds: 2 } as const
      scene.proxy.inject({ verb: 'list', fault: refusal })
      scene.proxy.inject({ verb: 'list', fault: { kind: 'Status', status: 500 } })
      scene.proxy.inject({ verb: 'list', fault: { kind: 'Hang' } })
      scene.start({ limits: { listTimeoutMs } })
      await eventually(() => expect(scene.proxy.count('list')).toBe(3))
      expect(scene.watched.isSynced()).toBe(false)
      await scene.watched.synced()
      await scene.expectConverged()
      expect(scene.errors).toMatchObject([{ status: 429 }, { status: 500 }, { status: 0 }])
      expect(scene.proxy.count('list')).toBe(4)
    }),
  )

  it(
    'honours Retry-After of a refused watch, and resumes without a list',
    withScene(async (scene) => {
      await scene.create('a')
      const fault = { kind: 'Status', status: 429, retryAfterSeconds: 2 } as const
      scene.proxy.inject({ verb: 'watch', fault })
      scene.start()
      await scene.expectAlive()
      await eventually(() => expect(scene.proxy.count('watch')).toBe(2))
      const [refused, accepted] = scene.proxy.requests.filter(({ verb }) => verb === 'watch')
      expect(accepted!.atMs - refused!.atMs).toBeGreaterThanOrEqual(1_990)
      expect(scene.proxy.count('list')).toBe(1)
    }),
  )

  it(
    'keeps the pages it has when the next one is refused for now',
    withScene(async (scene) => {
      for (const name of ['a', 'b', 'c']) await scene.create(name)
      const fault = { kind: 'Status', status: 429, retryAfterSeconds: 1 } as const
      scene.proxy.inject({ verb: 'list', fault, containing: 'continue=' })
      scene.start({ limits: { pageSize: 2 } })
      await scene.watched.synced()
      await scene.expectConverged()
      // Page one, page two refused, page two.
      expect(scene.proxy.count('list')).toBe(3)
      expect(scene.errors).toEqual([])
    }),
  )

  it(
    'resumes from where it was when connections are reset, without a list',
    withScene(async (scene) => {
      await scene.create('a')
      await scene.startSynced()
      scene.proxy.inject({ verb: 'watch', fault: { kind: 'Reset' }, times: 2 })
      scene.proxy.cutConnections()
      await scene.change('a', '2')
      await scene.create('b')
      await scene.expectConverged()
      expect(scene.proxy.count('list')).toBe(1)
      expect(scene.keys).toContain(`${scene.namespace}/b`)
      await scene.expectAlive()
    }),
  )

  it(
    'lists again after 410 in the middle of a watch and reports what vanished',
    withScene(async (scene) => {
      await scene.create('stays')
      await scene.create('vanishes')
      await scene.startSynced()
      scene.proxy.freezeWatches()
      await scene.remove('vanishes')
      scene.proxy.expireWatches()
      await eventually(() => expect(scene.proxy.count('list')).toBe(2))
      await scene.expectConverged()
      const { namespace } = scene
      expect(scene.keys.filter((key) => key === `${namespace}/vanishes`)).toHaveLength(2)
      expect(scene.keys.filter((key) => key === `${namespace}/stays`)).toHaveLength(1)
      expect(scene.errors).toMatchObject([{ status: 410 }])
      await scene.expectAlive()
      expect(scene.proxy.count('list')).toBe(2)
    }),
  )

  it(
    'lists again after 410 at connect, once per back-off step',
    withScene(async (scene) => {
      await scene.create('a')
      scene.proxy.inject({ verb: 'watch', fault: { kind: 'Status', status: 410 }, times: Infinity })
      scene.start()
      await scene.watched.synced()
      await eventually(() => expect(scene.proxy.count('list')).toBeGreaterThanOrEqual(4))
      // The pauses between lists are at least 0.8, 1.6 and 3.2 s, whatever the machine does.
      const lists = scene.proxy.requests.filter(({ verb }) => verb === 'list')
      const pauses = lists.slice(1, 4).map(({ atMs }, index) => atMs - lists[index]!.atMs)
      expect(pauses[0]).toBeGreaterThanOrEqual(790)
      expect(pauses[1]).toBeGreaterThanOrEqual(1_590)
      expect(pauses[2]).toBeGreaterThanOrEqual(3_190)
      expect(scene.proxy.count('watch')).toBeLessThanOrEqual(lists.length)
      scene.proxy.clearFaults()
      await scene.expectAlive()
    }),
  )

  it(
    'finds every change made while the API server was down',
    withScene(async (scene) => {
      await scene.create('changed')
      await scene.create('deleted')
      await scene.create('recreated')
      await scene.startSynced()
      await scene.proxy.goDown()
      scene.keys.length = 0
      await scene.change('changed', '2')
      await scene.remove('deleted')
      await scene.remove('recreated')
      await scene.create('recreated')
      await scene.create('new')
      await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS))
      await scene.proxy.comeBack()
      // The promise is 5 s; a busy machine is only held to it in the long run.
      await scene.expectConverged(longTests ? 5_000 : 30_000)
      const names = ['changed', 'deleted', 'recreated', 'new']
      expect(new Set(scene.keys)).toEqual(
        new Set(names.map((name) => `${scene.namespace}/${name}`)),
      )
      expect(scene.proxy.count('list')).toBe(1)
      await scene.expectAlive()
    }),
  )

  it(
    'lists once after an outage during which its position expired',
    withScene(async (scene) => {
      await scene.create('deleted')
      await scene.startSynced()
      await scene.proxy.goDown()
      await scene.remove('deleted')
      await scene.create('new')
      scene.proxy.inject({ verb: 'watch', fault: { kind: 'Status', status: 410 } })
      await scene.proxy.comeBack()
      await scene.expectConverged()
      expect(scene.proxy.count('list')).toBe(2)
      expect(scene.keys).toContain(`${scene.namespace}/new`)
      await scene.expectAlive()
    }),
  )

  it(
    'does not storm a server that ends every watch at once',
    withScene(async (scene) => {
      scene.proxy.inject({ verb: 'watch', fault: { kind: 'EmptyStream' }, times: Infinity })
      scene.start()
      await scene.watched.synced()
      await eventually(() => expect(scene.proxy.count('watch')).toBeGreaterThanOrEqual(4))
      const watches = scene.proxy.requests.filter(({ verb }) => verb === 'watch')
      expect(watches[3]!.atMs - watches[0]!.atMs).toBeGreaterThanOrEqual(5_590)
      scene.proxy.clearFaults()
      await scene.expectAlive()
    }),
  )

  it(
    'stays up to date with a server that ends each watch after some news',
    withScene(async (scene) => {
      await scene.startSynced()
      const steps = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
      for (const name of steps) {
        await scene.create(name)
        // As a refusal, the sixth end would lead to a pause of 20 s.
        await eventually(() => expect(scene.keys).toContain(`${scene.namespace}/${name}`), 10_000)
        scene.proxy.endWatches()
      }
      await scene.expectConverged()
      expect(scene.proxy.count('list')).toBe(1)
      expect(scene.proxy.count('watch')).toBeGreaterThanOrEqual(steps.length)
      await scene.expectAlive()
    }),
  )

  it(
    'goes on when a handler throws, and tells the key again',
    withScene(async (scene) => {
      let faults = 2
      await scene.startSynced({
        onChange: (key) => {
          scene.keys.push(key)
          if (key.endsWith('/poison') && (faults -= 1) >= 0) throw new Error('handler fault')
        },
      })
      await scene.create('poison')
      await scene.create('b')
      await scene.create('c')
      await eventually(() =>
        expect(scene.keys.filter((key) => key.endsWith('/poison')).length).toBeGreaterThanOrEqual(
          3,
        ),
      )
      await scene.expectConverged()
      expect(scene.errors).toMatchObject([
        { message: 'handler fault' },
        { message: 'handler fault' },
      ])
      expect(scene.proxy.count('list')).toBe(1)
      expect(scene.proxy.count('watch')).toBe(1)
      await scene.expectAlive()
    }),
  )

  it(
    'goes on when the error reporter and the key function throw too',
    withScene(async (scene) => {
      await scene.startSynced({
        keysOf: (object) => {
          if (object.metadata.name === 'poison') throw new Error('key fault')
          return [keyOf(object)]
        },
        onError: () => {
          throw new Error('reporter fault')
        },
      })
      await scene.create('poison')
      scene.proxy.cutConnections()
      await scene.expectAlive()
      expect(scene.watched.lister.get(`${scene.namespace}/poison`)).toBeDefined()
    }),
  )

  it(
    'notices a connection that fell silent, within a minute, and misses nothing',
    withScene(async (scene) => {
      await scene.startSynced(longTests ? {} : { limits: { silenceMs: 6_000 } })
      scene.proxy.freezeWatches()
      await scene.create('unseen')
      await scene.expectConverged(60_000)
      expect(scene.errors).toMatchObject([
        { status: 0, message: expect.stringContaining('silent') },
      ])
      expect(scene.proxy.count('list')).toBe(1)
    }),
  )

  it(
    'gives a list up that is never answered',
    withScene(async (scene) => {
      await scene.create('a')
      scene.proxy.inject({ verb: 'list', fault: { kind: 'Hang' } })
      scene.start({ limits: { listTimeoutMs } })
      await scene.watched.synced()
      await scene.expectConverged()
      expect(scene.errors).toMatchObject([{ status: 0, reason: 'Timeout' }])
    }),
  )

  it(
    'lists again after three refused watches in a row, with any status',
    withScene(async (scene) => {
      await scene.create('a')
      const fault = { kind: 'Status', status: 500 } as const
      scene.proxy.inject({ verb: 'watch', fault, times: 3 })
      scene.start()
      await eventually(() => expect(scene.proxy.count('list')).toBe(2))
      await scene.expectAlive()
      expect(scene.errors).toHaveLength(3)
    }),
  )

  it(
    'watches again after something that is not an event',
    withScene(async (scene) => {
      const lines = ['<html>gateway</html>']
      scene.proxy.inject({ verb: 'watch', fault: { kind: 'Lines', lines } })
      scene.start()
      await scene.expectAlive()
      // The first list may have shown the object, before the watch met its fault.
      await eventually(() => expect(scene.errors).toMatchObject([{ reason: 'BadEvent' }]))
      expect(scene.proxy.count('list')).toBe(1)
    }),
  )

  it(
    'takes the whole list when its pages expire while being read',
    withScene(async (scene) => {
      for (const name of ['a', 'b', 'c', 'd', 'e']) await scene.create(name)
      const fault = { kind: 'Status', status: 410 } as const
      scene.proxy.inject({ verb: 'list', fault, containing: 'continue=' })
      scene.start({ limits: { pageSize: 2 } })
      await scene.watched.synced()
      await scene.expectConverged()
      const lists = scene.proxy.requests.filter(({ verb }) => verb === 'list').map(({ url }) => url)
      expect(lists).toHaveLength(3)
      expect(lists[0]).toContain('limit=2')
      expect(lists[2]).not.toContain('limit=')
    }),
  )

  it(
    'does not believe a list that is older than what it knows',
    withScene(async (scene) => {
      await scene.create('a')
      await scene.startSynced()
      scene.proxy.inject({ verb: 'list', fault: { kind: 'Lines', lines: [OLD_LIST] }, times: 2 })
      scene.proxy.expireWatches()
      await eventually(() => expect(scene.proxy.count('list')).toBe(4))
      await scene.expectConverged()
      expect(scene.errors.slice(1)).toMatchObject([
        { reason: 'StaleList' },
        { reason: 'StaleList' },
      ])
      expect(scene.keys).toEqual([`${scene.namespace}/a`])
      await scene.expectAlive()
    }),
  )

  it(
    'believes an older list that comes again and again: the API server was set back',
    withScene(async (scene) => {
      await scene.create('a')
      await scene.startSynced()
      scene.proxy.inject({ verb: 'watch', fault: { kind: 'Hang' } })
      scene.proxy.inject({ verb: 'list', fault: { kind: 'Lines', lines: [OLD_LIST] }, times: 3 })
      scene.proxy.expireWatches()
      await eventually(() => expect(scene.keys).toHaveLength(2))
      expect(scene.watched.lister.list()).toEqual([])
    }),
  )

  it(
    'stops in the middle of an outage and rejects whoever waits for the first list',
    withScene(async (scene) => {
      await scene.proxy.goDown()
      scene.start()
      const waiting = scene.watched.synced()
      await eventually(() => expect(scene.errors.length).toBeGreaterThanOrEqual(1))
      await scene.watched.stop()
      await expect(waiting).rejects.toThrow('stopped')
      expect(scene.watched.isSynced()).toBe(false)
      expect(scene.proxy.count('list')).toBe(0)
    }),
  )
})
