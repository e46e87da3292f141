import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { getObject } from '../../../src/platform/kube/objects.ts'
import { nodes } from '../../../src/platform/kube/resources.ts'
import { type AgentProcess, spawnAgent, startAgentProcess } from './agent-process.ts'
import {
  type Rig,
  containerStatus,
  createPod,
  deletePod,
  desk,
  endOf,
  isAlive,
  isRunning,
  openRig,
  phaseOf,
  pidOf,
  podEnd,
  podGone,
  podWhen,
  readPod,
  shell,
  tell,
  untilTold,
  waitFor,
} from './support.ts'

let rig: Rig
let agent: AgentProcess

beforeAll(async () => {
  rig = await openRig()
})
beforeEach(async () => {
  agent = await startAgentProcess(rig)
})
afterEach(async () => {
  agent.signal('SIGTERM')
  await agent.exited
})
afterAll(async () => {
  await rig.close()
})

async function killAgent(): Promise<void> {
  agent.signal('SIGKILL')
  await agent.exited
}

function whenTold(then: string): object {
  return shell(`${untilTold}; ${then}`, desk)
}

describe('an agent that was killed', () => {
  it('finds the true exit code of a process that ended meanwhile', async () => {
    await createPod(rig, 'ends-meanwhile', whenTold('exit 7'))
    const running = await podWhen(rig, 'ends-meanwhile', isRunning)
    await killAgent()
    expect(isAlive(pidOf(running))).toBe(true)
    tell(rig, running)
    await waitFor(() => !isAlive(pidOf(running)))
    agent = await startAgentProcess(rig)
    const pod = await podEnd(rig, 'ends-meanwhile')
    expect(endOf(pod)).toMatchObject({ exitCode: 7, reason: 'Error' })
    expect(containerStatus(pod)?.restartCount).toBe(0)
  })

  it('goes on with a process that still runs', async () => {
    await createPod(rig, 'runs-on', whenTold('echo done > "$ATELIER_TERMINATION_LOG"; exit 0'))
    const running = await podWhen(rig, 'runs-on', isRunning)
    await killAgent()
    agent = await startAgentProcess(rig)
    expect(isAlive(pidOf(running))).toBe(true)
    tell(rig, running)
    const pod = await podEnd(rig, 'runs-on')
    expect(phaseOf(pod)).toBe('Succeeded')
    expect(endOf(pod)).toMatchObject({ exitCode: 0, message: 'done\n' })
    expect(endOf(pod)?.startedAt).toBe(containerStatus(running)?.state?.running?.startedAt)
  })

  it('fails a pod whose process vanished without a trace', async () => {
    await createPod(rig, 'vanished', whenTold('exit 0'))
    const running = await podWhen(rig, 'vanished', isRunning)
    await killAgent()
    process.kill(-pidOf(running), 'SIGKILL')
    agent = await startAgentProcess(rig)
    const pod = await podEnd(rig, 'vanished')
    expect(phaseOf(pod)).toBe('Failed')
    expect(endOf(pod)).toMatchObject({ exitCode: 137, reason: 'ContainerLost' })
  })

  it('fails a running pod that it no longer knows, and ends its stray process', async () => {
    await createPod(rig, 'forgotten', whenTold('exit 0'))
    const running = await podWhen(rig, 'forgotten', isRunning)
    await killAgent()
    rmSync(join(rig.folder, 'pods'), { recursive: true })
    agent = await startAgentProcess(rig)
    const pod = await podEnd(rig, 'forgotten')
    expect(pod.status).toMatchObject({ phase: 'Failed', reason: 'NodeRestarted' })
    await waitFor(() => !isAlive(pidOf(running)))
  })

  it('stops a process whose pod is gone', async () => {
    await createPod(rig, 'gone', shell('exec sleep 600'))
    const running = await podWhen(rig, 'gone', isRunning)
    await killAgent()
    await deletePod(rig, 'gone', 0)
    await podGone(rig, 'gone')
    expect(isAlive(pidOf(running))).toBe(true)
    agent = await startAgentProcess(rig)
    await waitFor(() => !isAlive(pidOf(running)))
  })

  it('finishes a deletion that was asked for meanwhile', async () => {
    await createPod(rig, 'deleted', shell('exec sleep 600'))
    const running = await podWhen(rig, 'deleted', isRunning)
    await killAgent()
    await deletePod(rig, 'deleted', 5)
    agent = await startAgentProcess(rig)
    await podGone(rig, 'deleted')
    expect(isAlive(pidOf(running))).toBe(false)
  })
})

describe('an agent that is asked to end', () => {
  it('leaves no process behind, reports its pods and makes its Nodes unready', async () => {
    await createPod(rig, 'ends-too', shell('exec sleep 600'))
    await createPod(rig, 'pends', { containers: [{ name: 'main', image: 'nobody/knows:1' }] })
    const running = await podWhen(rig, 'ends-too', isRunning)
    await podWhen(rig, 'pends', (pod) => containerStatus(pod)?.state?.waiting !== undefined)
    agent.signal('SIGTERM')
    expect(await agent.exited).toBe(0)
    expect(isAlive(pidOf(running))).toBe(false)
    const ended = await readPod(rig, 'ends-too')
    expect(ended?.status).toMatchObject({ phase: 'Failed', reason: 'Terminated' })
    expect((await readPod(rig, 'pends'))?.status?.phase).toBe('Pending')
    const node = await getObject(rig.client, nodes, { name: `${rig.prefix}-1` })
    expect(node.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'False', reason: 'AgentStopped' }),
    )
  })
})

describe('an agent that may not start', () => {
  it('names every variable that is missing', async () => {
    const second = spawnAgent(rig, { ATELIER_IMAGE_MAP: '', KUBECONFIG: '' })
    expect(await second.exited).toBe(1)
    expect(second.output()).toContain('ATELIER_IMAGE_MAP')
    expect(second.output()).toContain('KUBECONFIG')
  })

  it('says which image map it cannot read', async () => {
    const second = spawnAgent(rig, { ATELIER_IMAGE_MAP: '/nowhere/images.json' })
    expect(await second.exited).toBe(1)
    expect(second.output()).toContain('/nowhere/images.json')
  })
})
