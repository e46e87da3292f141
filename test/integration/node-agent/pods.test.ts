import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createObject, getObject } from '../../../src/platform/kube/objects.ts'
import { configMaps, nodes, secrets } from '../../../src/platform/kube/resources.ts'
import type { NodeAgent } from '../../../src/local/node-agent/agent.ts'
import {
  type Rig,
  containerStatus,
  createPod,
  endOf,
  isAlive,
  openRig,
  phaseOf,
  podEnd,
  podWhen,
  shell,
  startTestAgent,
  waitFor,
} from './support.ts'

let rig: Rig
let agent: NodeAgent

beforeAll(async () => {
  rig = await openRig()
  agent = await startTestAgent(rig)
})
afterAll(async () => {
  await agent.stop()
  await rig.close()
})

function field(name: string, fieldPath: string): object {
  return { name, valueFrom: { fieldRef: { fieldPath } } }
}

describe('a Node of the agent', () => {
  it('says that its GPUs are simulated and becomes ready', async () => {
    const node = await getObject(rig.client, nodes, { name: `${rig.prefix}-1` })
    expect(node.metadata.labels).toMatchObject({
      'atelier.dev/simulated-gpu': 'true',
      'nvidia.com/gpu.product': 'SIMULATED-GPU',
      'nvidia.com/gpu.count': '2',
    })
    expect(node.status?.allocatable).toMatchObject({ 'nvidia.com/gpu': '2', pods: '110' })
    expect(node.spec?.taints).toContainEqual(
      expect.objectContaining({ key: 'atelier.dev/process-node', effect: 'NoSchedule' }),
    )
    await waitFor(async () => {
      const { spec } = await getObject(rig.client, nodes, { name: `${rig.prefix}-1` })
      return !(spec?.taints ?? []).some(({ key }) => key === 'node.kubernetes.io/not-ready')
    })
  })
})

describe('a pod that the scheduler has bound', () => {
  it('runs as a process and succeeds, in at most four status writes', async () => {
    const before = rig.statusWrites()
    await createPod(rig, 'succeeds', shell('sleep 0.2'))
    const pod = await podEnd(rig, 'succeeds')
    expect(phaseOf(pod)).toBe('Succeeded')
    expect(endOf(pod)).toMatchObject({ exitCode: 0, reason: 'Completed' })
    expect(pod.status?.hostIP).toBe('127.0.0.1')
    expect(pod.status?.podIP).toMatch(/^127\.\d+\.\d+\.\d+$/)
    expect(pod.status?.conditions?.map(({ type }) => type)).toContain('PodScheduled')
    expect(rig.statusWrites() - before).toBeLessThanOrEqual(4)
  })

  it('reports the exit code and the termination message', async () => {
    const script = 'printf "no such model" > "$MESSAGE"; exit 20'
    const env = [{ name: 'MESSAGE', value: '/dev/termination-log' }]
    await createPod(rig, 'fails', shell(script, { container: { env } }))
    const pod = await podEnd(rig, 'fails')
    expect(phaseOf(pod)).toBe('Failed')
    expect(endOf(pod)).toMatchObject({
      exitCode: 20,
      reason: 'Error',
      message: 'no such model',
    })
  })

  it('cuts a termination message at 4,096 bytes', async () => {
    const script = 'head -c 5000 /dev/zero | tr "\\0" x > "$ATELIER_TERMINATION_LOG"'
    await createPod(rig, 'talkative', shell(script))
    expect(endOf(await podEnd(rig, 'talkative'))?.message).toBe('x'.repeat(4096))
  })

  it('reports 128 + signal for a process that a signal ended', async () => {
    await createPod(rig, 'killed', shell('kill -KILL "$(cut -d" " -f4 /proc/self/stat)"'))
    expect(endOf(await podEnd(rig, 'killed'))).toMatchObject({ exitCode: 137, reason: 'Error' })
  })

  it('leaves no process behind when its main process ends', async () => {
    await createPod(rig, 'parent', shell('sleep 600 & echo $! > "$ATELIER_TERMINATION_LOG"'))
    const child = Number(endOf(await podEnd(rig, 'parent'))?.message)
    expect(child).toBeGreaterThan(1)
    await waitFor(() => !isAlive(child))
  })

  it('fails when its working folder does not exist', async () => {
    await createPod(rig, 'lost', shell('true', { container: { workingDir: '/nowhere' } }))
    expect(endOf(await podEnd(rig, 'lost'))).toMatchObject({
      exitCode: 128,
      reason: 'StartError',
    })
  })
})

describe('many pods at once', () => {
  it('all run, each on an address of its own', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `crowd-${index}`)
    await Promise.all(names.map((name) => createPod(rig, name, shell('sleep 0.2'))))
    const ended = await Promise.all(names.map((name) => podEnd(rig, name)))
    expect(ended.map(phaseOf)).toEqual(names.map(() => 'Succeeded'))
    expect(new Set(ended.map((pod) => pod.status?.podIP)).size).toBe(names.length)
  })
})

describe('restarts', () => {
  it('starts a failing container again, with back-off, until it succeeds', async () => {
    const script = 'test "$(cat "$FILE" | wc -c)" -ge 2 && exit 0; printf x >> "$FILE"; exit 1'
    const container = {
      env: [{ name: 'FILE', value: '/desk/tries' }],
      volumeMounts: [{ name: 'work', mountPath: '/desk' }],
    }
    const pod = { restartPolicy: 'OnFailure', volumes: [{ name: 'work', emptyDir: {} }] }
    await createPod(rig, 'stubborn', shell(script, { container, pod }))
    const ended = await podEnd(rig, 'stubborn')
    expect(phaseOf(ended)).toBe('Succeeded')
    expect(containerStatus(ended)?.restartCount).toBe(2)
  })

  it('reports CrashLoopBackOff between starts and the last end beside it', async () => {
    const pod = { restartPolicy: 'Always' }
    await createPod(rig, 'crashes', shell('exit 5', { pod }))
    const waiting = await podWhen(
      rig,
      'crashes',
      (seen) => containerStatus(seen)?.state?.waiting?.reason === 'CrashLoopBackOff',
    )
    expect(phaseOf(waiting)).toBe('Running')
    expect(containerStatus(waiting)?.lastState?.terminated?.exitCode).toBe(5)
  })
})

describe('the environment of a container', () => {
  it('comes from values, fields, Secrets, ConfigMaps and the image', async () => {
    const { namespace } = rig
    await createObject(rig.client, secrets, {
      metadata: { name: 'keys', namespace },
      data: { password: Buffer.from('open sesame').toString('base64') },
    })
    await createObject(rig.client, configMaps, {
      metadata: { name: 'settings', namespace },
      data: { COLOUR: 'blue', SIZE: '64' },
    })
    const script = `require('fs').writeFileSync(process.env.ATELIER_TERMINATION_LOG,
      JSON.stringify(process.env))`
    const env = [
      field('NAME', 'metadata.name'),
      field('ADDRESS', 'status.podIP'),
      field('NODE', 'spec.nodeName'),
      { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'keys', key: 'password' } } },
      { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'COLOUR' } } },
      { name: 'GREETING', value: 'hello $(NAME) $$(NAME) $(NOBODY)' },
      { name: 'ABSENT', valueFrom: { secretKeyRef: { name: 'no', key: 'no', optional: true } } },
    ]
    const container = { image: 'test/node', env }
    await createPod(rig, 'informed', shell(script, { container }))
    const pod = await podEnd(rig, 'informed')
    const seen: unknown = JSON.parse(endOf(pod)?.message ?? '')
    expect(seen).toMatchObject({
      NAME: 'informed',
      ADDRESS: pod.status?.podIP,
      NODE: `${rig.prefix}-1`,
      PASSWORD: 'open sesame',
      COLOUR: 'blue',
      GREETING: 'hello informed $(NAME) $(NOBODY)',
      FROM_IMAGE: 'yes',
    })
    expect(seen).not.toHaveProperty('ABSENT')
  })

  it('waits with a reason for a Secret that is missing, and starts when it is there', async () => {
    const env = [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'later', key: 'key' } } }]
    await createPod(rig, 'patient', shell('test "$KEY" = here', { container: { env } }))
    const waiting = await podWhen(
      rig,
      'patient',
      (pod) => containerStatus(pod)?.state?.waiting?.reason === 'CreateContainerConfigError',
    )
    expect(containerStatus(waiting)?.state?.waiting?.message).toContain('later')
    await createObject(rig.client, secrets, {
      metadata: { name: 'later', namespace: rig.namespace },
      data: { key: Buffer.from('here').toString('base64') },
    })
    expect(phaseOf(await podEnd(rig, 'patient'))).toBe('Succeeded')
  })
})

describe('what a process node cannot do', () => {
  it('reports ErrImagePull for an image that is not mapped', async () => {
    await createPod(rig, 'unknown', { containers: [{ name: 'main', image: 'nobody/knows:1' }] })
    const pod = await podWhen(
      rig,
      'unknown',
      (seen) => containerStatus(seen)?.state?.waiting?.reason === 'ErrImagePull',
    )
    expect(phaseOf(pod)).toBe('Pending')
    expect(containerStatus(pod)?.state?.waiting?.message).toContain('nobody/knows:1')
  })

  it('fails a pod that asks for the host and names every point', async () => {
    const pod = { hostNetwork: true, volumes: [{ name: 'host', hostPath: { path: '/' } }] }
    await createPod(rig, 'greedy', shell('true', { pod }))
    const refused = await podEnd(rig, 'greedy')
    expect(refused.status).toMatchObject({ phase: 'Failed', reason: 'UnsupportedByProcessNode' })
    expect(refused.status?.message).toContain('hostNetwork, hostPath')
  })
})
