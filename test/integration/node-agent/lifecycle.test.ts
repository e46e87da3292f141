import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { getObject, listObjects, mergePatch } from '../../../src/platform/kube/objects.ts'
import { type Job, jobs } from '../../../src/platform/kube/resources.ts'
import { type Pod, pods } from '../../../src/local/node-agent/pod.ts'
import type { NodeAgent } from '../../../src/local/node-agent/agent.ts'
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
  startTestAgent,
  tell,
  untilTold,
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

function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True'
}

async function annotate(name: string, metadata: object): Promise<void> {
  await mergePatch(rig.client, pods, { name, namespace: rig.namespace, patch: { metadata } })
}

/** The process has got so far that SIGTERM does not end it at once. */
async function untilListening({ metadata }: Pod): Promise<void> {
  await waitFor(() => existsSync(join(rig.folder, 'pods', metadata.uid, 'listens')))
}

function wantingGpu(script: string): object {
  return shell(script, { container: { resources: { limits: { 'nvidia.com/gpu': 1 } } } })
}

const podIpEnv = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }

describe('probes', () => {
  it('keep a pod unready until it answers over HTTP', async () => {
    const script = `
      let isReady = false
      require('http').createServer((request, response) => {
        if (request.url === '/open') isReady = true
        response.statusCode = isReady ? 200 : 503
        response.end()
      }).listen(8080, process.env.POD_IP)`
    const readinessProbe = {
      httpGet: { path: '/', port: 'web' },
      periodSeconds: 1,
      failureThreshold: 1,
    }
    const container = {
      image: 'test/node',
      env: [podIpEnv],
      ports: [{ name: 'web', containerPort: 8080 }],
      readinessProbe,
    }
    await createPod(rig, 'answers', shell(script, { container }))
    const running = await podWhen(rig, 'answers', isRunning)
    expect(isReady(running)).toBe(false)
    await waitFor(async () => {
      const answer = await fetch(`http://${running.status?.podIP}:8080/open`).catch(() => undefined)
      return answer?.ok === true
    })
    const ready = await podWhen(rig, 'answers', isReady)
    expect(containerStatus(ready)?.ready).toBe(true)
    await deletePod(rig, 'answers', 1)
  })

  it('restart a container that is no longer alive', async () => {
    const livenessProbe = {
      exec: { command: ['/bin/sh', '-c', 'test ! -e dead'] },
      periodSeconds: 1,
      failureThreshold: 1,
    }
    const container = { livenessProbe }
    const script = 'if test -e dead; then rm dead; exec sleep 600; fi; touch dead; exec sleep 600'
    const spec = shell(script, { container, pod: { restartPolicy: 'Always' } })
    await createPod(rig, 'revives', spec)
    const pod = await podWhen(
      rig,
      'revives',
      (seen) => isRunning(seen) && (containerStatus(seen)?.restartCount ?? 0) > 0,
    )
    expect(containerStatus(pod)?.lastState?.terminated).toMatchObject({ exitCode: 143 })
    await deletePod(rig, 'revives', 1)
  })
})

describe('deletion', () => {
  it('gives the process its grace and then removes the pod', async () => {
    const script = `trap 'echo bye > "$ATELIER_TERMINATION_LOG"; exit 7' TERM
      touch "$HOME/listens"; while :; do sleep 0.05; done`
    const created = await createPod(rig, 'polite', shell(script))
    const running = await podWhen(rig, 'polite', isRunning)
    await untilListening(created)
    await annotate('polite', { finalizers: ['atelier.dev/test'] })
    await deletePod(rig, 'polite', 20)
    // The finalizer keeps the pod, so that its last status can be read.
    const ended = await podEnd(rig, 'polite')
    expect(endOf(ended)).toMatchObject({ exitCode: 7, message: 'bye\n' })
    expect(isAlive(pidOf(running))).toBe(false)
    await annotate('polite', { finalizers: null })
    await podGone(rig, 'polite')
  })

  it('kills the whole process group after the grace', async () => {
    const script = `trap '' TERM; sleep 600 & echo $! > child; while :; do sleep 0.05; done`
    await createPod(rig, 'stubborn', shell(script))
    const running = await podWhen(rig, 'stubborn', isRunning)
    expect(isAlive(pidOf(running))).toBe(true)
    await deletePod(rig, 'stubborn', 1)
    await podGone(rig, 'stubborn')
    expect(isAlive(pidOf(running))).toBe(false)
  })

  it('sends SIGTERM to the main process alone', async () => {
    const script = `
      const child = require('child_process').spawn('sleep', ['600'])
      process.on('SIGTERM', () => {
        const { exitCode, signalCode } = child
        require('fs').writeFileSync(process.env.ATELIER_TERMINATION_LOG,
          String(exitCode === null && signalCode === null))
        setTimeout(() => process.exit(0), 100)
      })
      require('fs').writeFileSync(process.env.HOME + '/listens', '')`
    const spec = shell(script, { container: { image: 'test/node' } })
    await untilListening(await createPod(rig, 'family', spec))
    await annotate('family', { finalizers: ['atelier.dev/test'] })
    await deletePod(rig, 'family', 20)
    expect(endOf(await podEnd(rig, 'family'))?.message).toBe('true')
    await annotate('family', { finalizers: null })
    await podGone(rig, 'family')
  })

  it('sends SIGTERM once, however often the pod changes meanwhile', async () => {
    const script = `count=0; trap 'count=$((count+1))' TERM; touch "$HOME/listens"
      ${untilTold}; echo $count > "$ATELIER_TERMINATION_LOG"; exit 1`
    const created = await createPod(rig, 'counted', shell(script, desk))
    await podWhen(rig, 'counted', isRunning)
    await untilListening(created)
    await annotate('counted', { finalizers: ['atelier.dev/test'] })
    await deletePod(rig, 'counted', 20)
    for (const note of ['a', 'b', 'c']) {
      await annotate('counted', { annotations: { note } })
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    tell(rig, created)
    expect(endOf(await podEnd(rig, 'counted'))?.message).toBe('1\n')
    await annotate('counted', { finalizers: null })
    await podGone(rig, 'counted')
  })

  it('removes a pod that never started', async () => {
    await createPod(rig, 'unmapped', { containers: [{ name: 'main', image: 'nobody/knows:1' }] })
    await podWhen(rig, 'unmapped', (pod) => containerStatus(pod)?.state?.waiting !== undefined)
    await deletePod(rig, 'unmapped')
    await podGone(rig, 'unmapped')
    expect(await readPod(rig, 'unmapped')).toBeUndefined()
  })

  it('stops the process of a pod that vanished by force', async () => {
    await createPod(rig, 'forced', shell('exec sleep 600'))
    const running = await podWhen(rig, 'forced', isRunning)
    await deletePod(rig, 'forced', 0)
    await podGone(rig, 'forced')
    await waitFor(() => !isAlive(pidOf(running)))
    expect(isAlive(pidOf(running))).toBe(false)
  })

  it('lets a new pod of the same name start after a forced deletion', async () => {
    const spec = shell('trap "" TERM; exec sleep 600')
    const first = await createPod(rig, 'again', spec)
    await podWhen(rig, 'again', isRunning)
    await deletePod(rig, 'again', 0)
    await podGone(rig, 'again')
    const second = await createPod(rig, 'again', shell('true'))
    expect(second.metadata.uid).not.toBe(first.metadata.uid)
    expect(phaseOf(await podEnd(rig, 'again'))).toBe('Succeeded')
  })
})

describe('the real controllers', () => {
  it('complete a Job, whose tracking finalizer needs the reported phase', async () => {
    const containers = [{ name: 'main', image: 'test/shell', args: ['true'] }]
    const template = { spec: { restartPolicy: 'Never', ...rig.placement, containers } }
    const spec = { backoffLimit: 0, podReplacementPolicy: 'Failed', template }
    await rig.client.request<Job>({
      method: 'POST',
      path: `/apis/batch/v1/namespaces/${rig.namespace}/jobs`,
      body: { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'works' }, spec },
    })
    let job: Job | undefined
    await waitFor(async () => {
      job = await getObject(rig.client, jobs, { name: 'works', namespace: rig.namespace })
      return job.status?.completionTime !== undefined
    })
    expect(job?.status).toMatchObject({ succeeded: 1, uncountedTerminatedPods: {} })
    const [pod] = await listObjects(rig.client, pods, {
      namespace: rig.namespace,
      labelSelector: 'batch.kubernetes.io/job-name=works',
    })
    expect(pod?.metadata.finalizers ?? []).toEqual([])
  })

  it('let a pod wait that asks for more GPUs than are free', async () => {
    await createPod(rig, 'gpu-1', wantingGpu('exec sleep 600'))
    await createPod(rig, 'gpu-2', wantingGpu('exec sleep 600'))
    await podWhen(rig, 'gpu-1', isRunning)
    await podWhen(rig, 'gpu-2', isRunning)
    await createPod(rig, 'gpu-3', wantingGpu('true'))
    const waiting = await podWhen(
      rig,
      'gpu-3',
      (pod) => pod.status?.conditions?.some(({ reason }) => reason === 'Unschedulable') === true,
    )
    expect(waiting.spec.nodeName).toBeUndefined()
    await deletePod(rig, 'gpu-1', 1)
    expect(phaseOf(await podEnd(rig, 'gpu-3'))).toBe('Succeeded')
    expect(await readPod(rig, 'gpu-2')).toBeDefined()
  })
})
