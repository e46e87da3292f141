import { afterAll, beforeAll, expect, it } from 'vitest'
import type { NodeAgent } from '../../../src/local/node-agent/agent.ts'
import type { KubeClient, KubeRequest } from '../../../src/platform/kube/client.ts'
import { KubeError } from '../../../src/platform/kube/errors.ts'
import {
  type Rig,
  createPod,
  deletePod,
  endOf,
  isAlive,
  isRunning,
  openRig,
  phaseOf,
  pidOf,
  podEnd,
  podGone,
  podWhen,
  shell,
  startTestAgent,
} from './support.ts'

let rig: Rig
let agent: NodeAgent
/** So many matching requests are refused before they reach the real API server. */
let refusals = { method: '', suffix: '', left: 0 }

beforeAll(async () => {
  rig = await openRig()
  agent = await startTestAgent(rig, { client: faulty(rig.client) })
})
afterAll(async () => {
  await agent.stop()
  await rig.close()
})

function faulty(client: KubeClient): KubeClient {
  const request = async <T>(wish: KubeRequest): Promise<T> => {
    const { method, suffix, left } = refusals
    if (left > 0 && wish.method === method && wish.path.endsWith(suffix)) {
      refusals = { method, suffix, left: left - 1 }
      throw new KubeError({ status: 500, reason: 'InternalError', message: 'not today' })
    }
    return await client.request<T>(wish)
  }
  return { ...client, request }
}

it('reports a pod when the API server takes statuses again', async () => {
  refusals = { method: 'PATCH', suffix: '/late/status', left: 4 }
  await createPod(rig, 'late', shell('exit 9'))
  expect(endOf(await podEnd(rig, 'late'))?.exitCode).toBe(9)
  expect(refusals.left).toBe(0)
})

it('starts a pod when a token can be had again', async () => {
  refusals = { method: 'POST', suffix: '/serviceaccounts/default/token', left: 1 }
  const pod = { automountServiceAccountToken: true }
  await createPod(rig, 'tokenless', shell('true', { pod }))
  expect(phaseOf(await podEnd(rig, 'tokenless'))).toBe('Succeeded')
  expect(refusals.left).toBe(0)
})

it('deletes a pod when the API server takes deletions again', async () => {
  await createPod(rig, 'sticky', shell('exec sleep 600'))
  const running = await podWhen(rig, 'sticky', isRunning)
  await deletePod(rig, 'sticky', 5)
  refusals = { method: 'DELETE', suffix: '/pods/sticky', left: 2 }
  await podGone(rig, 'sticky')
  expect(isAlive(pidOf(running))).toBe(false)
  expect(refusals.left).toBe(0)
})
