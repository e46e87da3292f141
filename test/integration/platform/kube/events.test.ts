import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../../src/platform/clock/system-clock.ts'
import { type KubeClient, openKubeClient } from '../../../../src/platform/kube/client.ts'
import { startEventRecorder } from '../../../../src/platform/kube/events.ts'
import { createObject, deleteObject, listObjects } from '../../../../src/platform/kube/objects.ts'
import { type ConfigMap, configMaps, events } from '../../../../src/platform/kube/resources.ts'
import { testEnvironment } from '../../../support/environment.ts'
import { startFaultProxy } from '../../../support/fault-proxy.ts'
import { createNamespace, deleteNamespace, openAdminClient } from '../../../support/kube.ts'

let client: KubeClient
let namespace: string

beforeAll(async () => {
  client = openAdminClient()
  namespace = await createNamespace(client, 'events')
})

afterAll(async () => {
  await deleteNamespace(client, namespace)
  await client.close()
})

function startRecorder(through: KubeClient, nowMs = systemClock.nowMs) {
  const errors: unknown[] = []
  const recorder = startEventRecorder({
    client: through,
    component: 'atelier-test',
    clock: { nowMs },
    random: Math.random,
    onError: (error) => errors.push(error),
  })
  return { recorder, errors }
}

function note(object: ConfigMap, message: string) {
  return { kind: configMaps, object, type: 'Normal', reason: 'Tested', message } as const
}

async function eventsOf(object: ConfigMap) {
  const fieldSelector = `involvedObject.uid=${object.metadata.uid}`
  return await listObjects(client, events, { namespace, fieldSelector })
}

async function createSubject(name: string) {
  return await createObject(client, configMaps, { metadata: { name, namespace } })
}

describe('the event recorder', () => {
  it('writes what kubectl describe shows, counting repetitions', async () => {
    const object = await createSubject('repeats')
    const { recorder, errors } = startRecorder(client)
    for (let time = 0; time < 5; time += 1) recorder.record(note(object, 'again'))
    recorder.record(note(object, 'something else'))
    await recorder.close()
    expect(errors).toEqual([])
    const found = await eventsOf(object)
    expect(found.map(({ message, count }) => `${count} ${message}`).toSorted()).toEqual([
      '1 something else',
      '5 again',
    ])
    expect(found[0]).toMatchObject({
      type: 'Normal',
      reason: 'Tested',
      involvedObject: { kind: 'ConfigMap', apiVersion: 'v1', name: 'repeats', namespace },
      source: { component: 'atelier-test' },
    })
  })

  it('begins a new event after a long pause, and when the first one is gone', async () => {
    const object = await createSubject('pauses')
    let nowMs = systemClock.nowMs()
    const { recorder } = startRecorder(client, () => nowMs)
    recorder.record(note(object, 'again'))
    await recorder.close()
    nowMs += 600_000
    recorder.record(note(object, 'again'))
    await recorder.close()
    expect(await eventsOf(object)).toHaveLength(2)
    for (const { metadata } of await eventsOf(object)) {
      await deleteObject(client, events, { namespace, name: metadata.name })
    }
    recorder.record(note(object, 'again'))
    await recorder.close()
    expect(await eventsOf(object)).toMatchObject([{ count: 1 }])
  })

  it('cuts a message that is too long instead of losing it', async () => {
    const object = await createSubject('long')
    const { recorder, errors } = startRecorder(client)
    recorder.record(note(object, 'x'.repeat(5_000)))
    await recorder.close()
    expect(errors).toEqual([])
    expect((await eventsOf(object))[0]?.message).toHaveLength(1_024)
  })

  it('never throws and never waits, whatever happens to the API server', async () => {
    const object = await createSubject('down')
    const proxy = await startFaultProxy(testEnvironment().kubeconfigPath)
    await proxy.goDown()
    const faulty = openKubeClient({ kubeconfigPath: proxy.kubeconfigPath, userAgent: 'test' })
    const { recorder, errors } = startRecorder(faulty)
    for (let time = 0; time < 2_000; time += 1) recorder.record(note(object, `note ${time}`))
    await recorder.close()
    // What waits is bounded, so some notes were dropped without being tried.
    expect(errors.length).toBeGreaterThan(0)
    expect(errors.length).toBeLessThanOrEqual(1_001)
    expect(await eventsOf(object)).toEqual([])
    await faulty.close()
    await proxy.close()
  })
})
