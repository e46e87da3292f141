import { afterAll, beforeAll, expect, it } from 'vitest'
import { createObject, deleteObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { nodes } from '../../../src/platform/kube/resources.ts'
import { refuseForeignNodes } from '../../../src/local/node-agent/nodes.ts'
import { type Rig, openRig, startTestAgent } from './support.ts'

let rig: Rig

beforeAll(async () => {
  rig = await openRig()
})
afterAll(async () => {
  await rig.close()
})

it('refuses to start among Nodes that no process node agent has made', async () => {
  const name = `${rig.prefix}-foreign`
  await createObject(rig.client, nodes, { metadata: { name } })
  try {
    await expect(startTestAgent(rig, { allowForeignNodes: false })).rejects.toMatchObject({
      code: 'platform.misconfigured',
      message: expect.stringContaining('ATELIER_NODE_ALLOW_FOREIGN'),
    })
    const own = await listObjects(rig.client, nodes)
    expect(own.some((node) => node.metadata.name === `${rig.prefix}-1`)).toBe(false)
    const agent = await startTestAgent(rig, { allowForeignNodes: true })
    await agent.stop()
  } finally {
    await deleteObject(rig.client, nodes, { name })
  }
})

it('refuses to take over a Node of its own name that is somebody else’s', async () => {
  const name = `${rig.prefix}-1`
  await deleteObject(rig.client, nodes, { name })
  await createObject(rig.client, nodes, { metadata: { name } })
  try {
    await expect(startTestAgent(rig)).rejects.toThrow('belongs to somebody else')
  } finally {
    await deleteObject(rig.client, nodes, { name })
  }
})

it('does not count the Nodes of process node agents as foreign', async () => {
  const agent = await startTestAgent(rig)
  const complaint: unknown = await refuseForeignNodes(rig.client).catch((error: unknown) => error)
  expect(String(complaint)).not.toContain(rig.prefix)
  await agent.stop()
})
