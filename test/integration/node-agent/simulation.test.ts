import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { createObject, getObject } from '../../../src/platform/kube/objects.ts'
import { keyOf, nodes, secrets } from '../../../src/platform/kube/resources.ts'
import type { NodeAgent } from '../../../src/local/node-agent/agent.ts'
import type { Pod } from '../../../src/local/node-agent/pod.ts'
import { PodKeeper } from '../../../src/local/node-agent/pod-keeper.ts'
import { kubeletBackoff } from '../../../src/local/node-agent/restart-policy.ts'
import { parseImageMap } from '../../../src/local/node-agent/image-map.ts'
import { eventually } from '../../support/eventually.ts'
import { openPoolCaller } from '../inference/pool-caller.ts'
import {
  type Rig,
  containerStatus,
  createPod,
  deletePod,
  endOf,
  isRunning,
  openRig,
  phaseOf,
  podEnd,
  podGone,
  podWhen,
  readPod,
  startTestAgent,
} from './support.ts'

function imagesWith(models: Readonly<Record<string, number>>) {
  const simulate = { seconds: 0.05, models: { slow: 3600, pooled: 0.1, ...models } }
  return parseImageMap({ 'test/simulated': { simulate } })
}

/** `kept` runs as long as the agent does that has these images. */
const imageMap = imagesWith({ kept: 3600 })

let rig: Rig
let agent: NodeAgent

beforeAll(async () => {
  rig = await openRig()
  agent = await startTestAgent(rig, { imageMap })
})
afterAll(async () => {
  await agent.stop()
  await rig.close()
})

const env = (variables: Record<string, string>) =>
  Object.entries(variables).map(([name, value]) => ({ name, value }))

function simulated(model: string, more: object = {}): object {
  const container = {
    name: 'inference',
    image: 'test/simulated',
    env: env({ ATELIER_MODEL_FOLDER: `/models/${model}` }),
    resources: { limits: { cpu: '1m', memory: '1Mi' } },
  }
  return { containers: [container], automountServiceAccountToken: false, ...more }
}

/** As the controller makes them: see src/controller/model-pool/deployment.ts. */
function poolPod(secretName: string): object {
  const keyFolder = '/var/run/secrets/atelier.dev-pool'
  const variables = {
    ATELIER_POOL: 'bench',
    ATELIER_POOL_LISTEN: '$(POD_IP):8080',
    ATELIER_POOL_KEY_FILE: `${keyFolder}/key`,
    ATELIER_POOL_SLOTS: '2',
    ATELIER_POOL_MODELS: 'pooled,slow',
  }
  const podIp = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }
  const container = {
    name: 'inference',
    image: 'test/simulated',
    env: [podIp, ...env(variables)],
    volumeMounts: [{ name: 'key', mountPath: keyFolder, readOnly: true }],
  }
  return {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 3600,
    automountServiceAccountToken: false,
    containers: [container],
    volumes: [{ name: 'key', secret: { secretName, items: [{ key: 'key', path: 'key' }] } }],
  }
}

async function createKey(name: string): Promise<Buffer> {
  const key = randomBytes(32)
  const metadata = { name, namespace: rig.namespace }
  await createObject(rig.client, secrets, { metadata, data: { key: key.toString('base64') } })
  return key
}

function isReady({ status }: NonNullable<Awaited<ReturnType<typeof readPod>>>): boolean {
  return status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True'
}

/** A pool pod that is ready, and somebody who knows its key. */
async function startPoolPod(name: string) {
  const key = await createKey(name)
  await createPod(rig, name, poolPod(name))
  const pod = await podWhen(rig, name, isReady)
  return { pod, caller: await openPoolCaller(`http://${pod.status?.podIP}:8080`, key) }
}

describe('a simulated pod', () => {
  it('runs and ends well without a process', async () => {
    const writes = rig.statusWrites()
    const first = { name: 'fetch', image: 'test/simulated' }
    await createPod(rig, 'job', simulated('demo', { initContainers: [first] }))
    const pod = await podEnd(rig, 'job')
    expect(phaseOf(pod)).toBe('Succeeded')
    expect(endOf(pod)).toMatchObject({ exitCode: 0, reason: 'Completed' })
    expect(JSON.parse(endOf(pod)?.message ?? '')).toEqual({
      reason: 'Completed',
      digest: 'simulated',
    })
    expect(containerStatus(pod)).toMatchObject({
      imageID: 'simulated',
      containerID: `simulated://${pod.metadata.uid}`,
    })
    expect(existsSync(join(rig.folder, 'pods', pod.metadata.uid))).toBe(false)
    // Running and Succeeded, as a kubelet writes them.
    expect(rig.statusWrites() - writes).toBe(2)
    await deletePod(rig, 'job')
    await podGone(rig, 'job')
  })

  it('ends at once when it is deleted', async () => {
    await createPod(rig, 'slow', simulated('slow', { terminationGracePeriodSeconds: 600 }))
    await podWhen(rig, 'slow', (pod) => isRunning(pod) && isReady(pod))
    await deletePod(rig, 'slow')
    await podGone(rig, 'slow')
    expect(await readPod(rig, 'slow')).toBeUndefined()
  })

  it('goes on with the next agent', async () => {
    await createPod(rig, 'kept', simulated('kept'))
    await podWhen(rig, 'kept', isRunning)
    await agent.stop()
    const alone = await readPod(rig, 'kept')
    expect(alone?.status?.phase).toBe('Running')
    agent = await startTestAgent(rig, { imageMap: imagesWith({ kept: 0.1 }) })
    const after = await podEnd(rig, 'kept')
    expect([after.metadata.uid, phaseOf(after)]).toEqual([alone?.metadata.uid, 'Succeeded'])
  })

  it('is one of many', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `many-${index}`)
    await Promise.all(names.map(async (name) => await createPod(rig, name, simulated('demo'))))
    const pods = await Promise.all(names.map(async (name) => await podEnd(rig, name)))
    expect(new Set(pods.map(phaseOf))).toEqual(new Set(['Succeeded']))
    expect(new Set(pods.map(({ status }) => status?.podIP)).size).toBe(names.length)
  })

  it('is announced by its Node', async () => {
    const node = await getObject(rig.client, nodes, { name: `${rig.prefix}-1` })
    expect(node.metadata.labels).toMatchObject({ 'atelier.dev/simulated-pods': 'true' })
  })
})

describe('a simulated pool pod', () => {
  it('does a job for who knows the key of its Secret', async () => {
    const { pod, caller } = await startPoolPod('pool')
    expect(pod.status?.phase).toBe('Running')
    const answer = await fetch(`${caller.url}/readyz`)
    expect([answer.status, answer.headers.get('server')]).toEqual([200, 'fake-pool-pod'])
    expect((await fetch(`${caller.url}/v1/state`)).status).toBe(401)
    expect((await caller.state()).runner).toMatch(/^fake-/)
    await caller.put('uid-1', { jobId: '0'.repeat(26), model: 'pooled' })
    expect(await caller.untilEnded('uid-1')).toMatchObject({ reason: 'Completed' })
    await deletePod(rig, 'pool')
    await podGone(rig, 'pool')
    await expect(fetch(`${caller.url}/healthz`)).rejects.toThrow('fetch failed')
  })

  it('finishes its jobs before it goes', async () => {
    const { caller } = await startPoolPod('draining')
    await caller.put('uid-2', { jobId: '0'.repeat(26), model: 'slow' })
    await deletePod(rig, 'draining')
    await podWhen(rig, 'draining', (pod) => !isReady(pod))
    expect((await caller.state()).draining).toBe(true)
    const late = await caller.put('uid-3', { jobId: '0'.repeat(26), model: 'pooled' })
    expect(late).toMatchObject({ status: 409, answer: { code: 'pool.draining' } })
    await caller.ask('DELETE /v1/jobs/uid-2?attempt=1')
    await podGone(rig, 'draining')
  })

  it('loses its jobs when nobody waits for them any longer', async () => {
    const { caller } = await startPoolPod('hasty')
    await caller.put('uid-4', { jobId: '0'.repeat(26), model: 'slow' })
    await deletePod(rig, 'hasty', 1)
    await podGone(rig, 'hasty')
    await expect(fetch(`${caller.url}/healthz`)).rejects.toThrow('fetch failed')
  })

  it('is closed, and its namesake begins, when its end was never seen', async () => {
    const key = await createKey('forced')
    // No agent has this Node: the keeper below is shown what a watch shows that comes late.
    const spec = { ...poolPod('forced'), nodeName: 'nobody' }
    const shown = new Map<string, Pod>()
    const keeper = new PodKeeper({
      client: rig.client,
      clock: systemClock,
      random: Math.random,
      imageMap,
      podsFolder: join(rig.folder, 'forced'),
      backoff: kubeletBackoff,
      tokenRenewalShare: 0.8,
      onError: () => undefined,
      find: (name) => shown.get(name),
    })
    const show = async () => {
      const created = await createPod(rig, 'forced', spec)
      shown.set(keyOf(created), created)
      keeper.observe(keyOf(created))
      return await podWhen(rig, 'forced', isReady)
    }
    const first = await show()
    const caller = await openPoolCaller(`http://${first.status?.podIP}:8080`, key)
    await deletePod(rig, 'forced', 0)
    await podGone(rig, 'forced')
    const second = await show()
    expect(second.metadata.uid).not.toBe(first.metadata.uid)
    await expect(fetch(`${caller.url}/healthz`)).rejects.toThrow('fetch failed')
    shown.clear()
    keeper.observe(`${rig.namespace}/forced`)
    await eventually(async () => {
      const url = `http://${second.status?.podIP}:8080/healthz`
      await expect(fetch(url)).rejects.toThrow('fetch failed')
    })
    await keeper.stop()
    await deletePod(rig, 'forced', 0)
  })

  it('waits for its Secret', async () => {
    await createPod(rig, 'keyless', poolPod('late-key'))
    const waiting = await podWhen(rig, 'keyless', ({ status }) => status?.podIP !== undefined)
    expect(waiting.status?.phase).toBe('Pending')
    await createKey('late-key')
    await podWhen(rig, 'keyless', isReady)
    await deletePod(rig, 'keyless')
    await podGone(rig, 'keyless')
  })
})
