import { describe, expect, it } from 'vitest'
import type { ConfigMap } from '../../../../src/platform/kube/resources.ts'
import { eventually } from '../../../support/eventually.ts'
import { withScene } from '../../../support/list-watch-scene.ts'

function stepOf(object: ConfigMap): readonly string[] {
  return [`step-${object.data?.['step']}`]
}

describe('a list-watch of a real API server', () => {
  it(
    'reads a long list page by page, then follows it',
    withScene(async (scene) => {
      for (const name of ['a', 'b', 'c', 'd', 'e']) await scene.create(name)
      await scene.startSynced({ limits: { pageSize: 2 } })
      expect(scene.proxy.count('list')).toBe(3)
      expect(scene.watched.lister.list()).toHaveLength(5)
      expect(scene.keys).toHaveLength(5)
      await scene.change('c', '2')
      await scene.remove('d')
      await scene.expectConverged()
      expect(scene.keys.slice(5)).toEqual([`${scene.namespace}/c`, `${scene.namespace}/d`])
    }),
  )

  it(
    'reports the keys that objects name, those of before and after a change, once each',
    withScene(async (scene) => {
      await scene.create('a')
      await scene.startSynced({ keysOf: stepOf, indexBy: stepOf })
      await scene.change('a', '2')
      await scene.expectConverged()
      expect(scene.watched.lister.listIndexed('step-1')).toEqual([])
      expect(scene.watched.lister.listIndexed('step-2')).toHaveLength(1)
      await scene.remove('a')
      await scene.expectConverged()
      expect(scene.keys).toEqual(['step-1', 'step-1', 'step-2', 'step-2'])
    }),
  )

  it(
    'holds frozen objects with times as text, from the list and from the watch',
    withScene(async (scene) => {
      await scene.create('listed')
      await scene.startSynced()
      await scene.create('watched')
      await scene.expectConverged()
      for (const object of scene.watched.lister.list()) {
        expect(Object.isFrozen(object.metadata.labels)).toBe(true)
        expect(object.metadata.creationTimestamp).toMatch(/^\d{4}-.*Z$/)
        expect(object.metadata).not.toHaveProperty('managedFields')
      }
    }),
  )

  it(
    'asks for bookmarks and lets the server end each watch before its silence would mean anything',
    withScene(async (scene) => {
      await scene.startSynced()
      const watch = scene.proxy.requests.find(({ verb }) => verb === 'watch')
      const query = new URL(watch?.url ?? '', 'http://proxy').searchParams
      expect(query.get('allowWatchBookmarks')).toBe('true')
      expect(Number(query.get('timeoutSeconds'))).toBeGreaterThanOrEqual(30)
      expect(Number(query.get('timeoutSeconds'))).toBeLessThanOrEqual(45)
    }),
  )

  it(
    'goes on without a list when the server ends the watch in order',
    withScene(async (scene) => {
      await scene.startSynced({ limits: { watchSecondsMin: 1 }, random: () => 0 })
      await eventually(() => expect(scene.proxy.count('watch')).toBeGreaterThanOrEqual(2))
      await scene.expectAlive()
      expect(scene.errors).toEqual([])
      expect(scene.proxy.count('list')).toBe(1)
    }),
  )

  it(
    'stops when its signal says so and calls no handler afterwards',
    withScene(async (scene) => {
      const controller = new AbortController()
      await scene.startSynced({ signal: controller.signal })
      controller.abort()
      await scene.watched.stop()
      await eventually(() => expect(scene.proxy.openWatches()).toBe(0))
      await scene.create('late')
      expect(scene.keys).toEqual([])
      expect(scene.errors).toEqual([])
    }),
  )
})
