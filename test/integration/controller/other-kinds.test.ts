import { afterEach, describe, expect, it } from 'vitest'
import { findCondition } from '../../../src/controller/conditions.ts'
import { createObject, deleteObject, getObject } from '../../../src/platform/kube/objects.ts'
import { departments, models, namespaces } from '../../../src/platform/kube/resources.ts'
import type { Delivery } from '../../../src/shared/crd/model.ts'
import { labels } from '../../../src/shared/names.ts'
import { eventually } from '../../support/eventually.ts'
import { createWorld, modelSpec, type World } from './world.ts'

let world: World

afterEach(async () => {
  await world.close()
})

async function startWorld(): Promise<World> {
  world = await createWorld({ gpus: [] })
  await world.startController()
  return world
}

describe('a Model', () => {
  const deliveries: readonly (readonly [Delivery, string])[] = [
    [{ type: 'Embedded', embedded: { path: 'demo' } }, 'True/Ready'],
    [{ type: 'Claim', claim: { name: 'weights' } }, 'True/Ready'],
    [{ type: 'Image', image: { reference: 'registry.example/demo:1' } }, 'True/Ready'],
    [{ type: 'Fetch', fetch: { url: 'https://models.example/demo' } }, 'True/Ready'],
    [{ type: 'Fetch', fetch: { url: 'hf://org/name' } }, 'True/Ready'],
    [{ type: 'Fetch', fetch: { url: 's3://bucket/demo' } }, 'False/DeliveryUnsupported'],
  ]
  it.each(deliveries)('with delivery %j becomes %s', async (delivery, expected) => {
    await startWorld()
    const name = `${world.namespace}-delivery`
    const spec = modelSpec({ delivery, digest: 'a1'.repeat(32) })
    await createObject(world.admin, models, { metadata: { name }, spec })
    try {
      await eventually(async () => {
        const { metadata, status } = await getObject(world.admin, models, { name })
        const ready = findCondition(status?.conditions, 'Ready')
        expect(`${ready?.status}/${ready?.reason}`).toBe(expected)
        expect(status?.observedGeneration).toBe(metadata.generation)
      })
    } finally {
      await world.removeModel(name)
    }
  })
})

describe('a Department', () => {
  it('becomes ready when its namespace appears, and not with a foreign one', async () => {
    await startWorld()
    const name = `${world.namespace}-dept`
    const spec = { displayName: 'test', weight: 100, namespace: name, managedBy: 'api' as const }
    await createObject(world.admin, departments, { metadata: { name }, spec })
    try {
      await untilReady(name, 'False/NamespaceMissing')
      await createObject(world.admin, namespaces, {
        metadata: { name, labels: { [labels.department]: name } },
      })
      expect(await untilReady(name, 'True/Ready')).toBeGreaterThan(0)
    } finally {
      await deleteObject(world.admin, departments, { name })
      await deleteObject(world.admin, namespaces, { name })
    }
  })

  it('is not ready with the namespace of another department', async () => {
    await startWorld()
    const name = `${world.namespace}-dept`
    const spec = { weight: 100, namespace: world.namespace, managedBy: 'api' as const }
    await createObject(world.admin, departments, { metadata: { name }, spec })
    try {
      expect(await untilReady(name, 'False/NamespaceForeign')).toBeGreaterThan(0)
    } finally {
      await deleteObject(world.admin, departments, { name })
    }
  })
})

async function untilReady(name: string, expected: string): Promise<number> {
  return await eventually(async () => {
    const { status } = await getObject(world.admin, departments, { name })
    const ready = findCondition(status?.conditions, 'Ready')
    expect(`${ready?.status}/${ready?.reason}`).toBe(expected)
    return ready?.observedGeneration ?? 0
  })
}
