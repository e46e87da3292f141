import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NodeAgent } from '../../../src/local/node-agent/agent.ts'
import type { Pod } from '../../../src/local/node-agent/pod.ts'
import {
  type Rig,
  containerStatus,
  createPod,
  deletePod,
  endOf,
  isAlive,
  openRig,
  phaseOf,
  podEnd,
  podGone,
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
  for (const name of madeVolumes) {
    await rig.client.request({ method: 'DELETE', path: `/api/v1/persistentvolumes/${name}` })
  }
  await rig.close()
})

/** They belong to no namespace. */
const madeVolumes: string[] = []

const shared = { name: 'shared', mountPath: '/shared' }

function first(name: string, script: string): object {
  return {
    name,
    image: 'test/shell',
    workingDir: '/shared',
    args: [script],
    volumeMounts: [shared],
  }
}

/** A pod whose containers share an empty folder. */
function withFirst(initContainers: readonly object[], script: string, more: object = {}): object {
  const container = { workingDir: '/shared', volumeMounts: [shared] }
  const volumes = [{ name: 'shared', emptyDir: {} }]
  return shell(script, { container, pod: { initContainers, volumes, ...more } })
}

function firstStatus(pod: Pod) {
  return pod.status?.initContainerStatuses?.[0]
}

function initialized(pod: Pod): string | undefined {
  return pod.status?.conditions?.find(({ type }) => type === 'Initialized')?.status
}

describe('containers that run first', () => {
  it('run one after the other, before all others', async () => {
    const one = first('one', 'sleep 0.2; echo one >> log')
    const two = first('two', 'echo two >> log')
    await createPod(rig, 'order', withFirst([one, two], 'cat log > "$ATELIER_TERMINATION_LOG"'))
    const pod = await podEnd(rig, 'order')
    expect(endOf(pod)).toMatchObject({ exitCode: 0, message: 'one\ntwo\n' })
    const ends = pod.status?.initContainerStatuses?.map(({ state }) => state?.terminated?.exitCode)
    expect(ends).toEqual([0, 0])
  })

  it('keep their pod pending and not initialized as long as they run', async () => {
    await createPod(rig, 'slow', withFirst([first('wait', 'exec sleep 600')], 'true'))
    const pod = await podWhen(
      rig,
      'slow',
      (seen) => firstStatus(seen)?.state?.running !== undefined,
    )
    expect([phaseOf(pod), initialized(pod)]).toEqual(['Pending', 'False'])
    expect(containerStatus(pod)?.state?.waiting).toBeDefined()
    const pid = Number(firstStatus(pod)?.containerID?.split('/')[2])
    await deletePod(rig, 'slow', 1)
    await podGone(rig, 'slow')
    await waitFor(() => !isAlive(pid))
  })

  it('fail their pod, whose others never run', async () => {
    const bad = first('bad', 'echo no such pack > "$ATELIER_TERMINATION_LOG"; exit 3')
    await createPod(rig, 'bad', withFirst([bad, first('never', 'true')], 'true'))
    const pod = await podEnd(rig, 'bad')
    expect(phaseOf(pod)).toBe('Failed')
    expect(firstStatus(pod)?.state?.terminated).toMatchObject({
      exitCode: 3,
      message: 'no such pack\n',
    })
    expect(containerStatus(pod)?.state?.waiting).toBeDefined()
  })

  it('are tried again where the pod is restarted, and not once they have ended well', async () => {
    const flaky = first('flaky', 'echo x >> tries; test "$(wc -l < tries)" = 2')
    const script = 'cat tries > "$ATELIER_TERMINATION_LOG"; exec sleep 600'
    const spec = withFirst([flaky], script, { restartPolicy: 'Always' })
    await createPod(rig, 'flaky', spec)
    const pod = await podWhen(rig, 'flaky', (seen) => phaseOf(seen) === 'Running')
    expect(firstStatus(pod)).toMatchObject({ restartCount: 1, state: { terminated: {} } })
    expect(initialized(pod)).toBe('True')
    await deletePod(rig, 'flaky', 0)
    await podGone(rig, 'flaky')
  })
})

describe('volumes that are older than the pod', () => {
  it('show a folder for an image', async () => {
    const mount = { name: 'pack', mountPath: '/claims/model', readOnly: true }
    const container = {
      env: [{ name: 'FOLDER', value: '/claims/model' }],
      volumeMounts: [mount],
    }
    const volumes = [{ name: 'pack', image: { reference: 'test/pack' } }]
    const script = 'test -s "$FOLDER/atelier-model.json"'
    await createPod(rig, 'image', shell(script, { container, pod: { volumes } }))
    expect(phaseOf(await podEnd(rig, 'image'))).toBe('Succeeded')
  })

  it('wait for an image that is in no map', async () => {
    const volumes = [{ name: 'pack', image: { reference: 'test/none' } }]
    await createPod(rig, 'no-image', shell('true', { pod: { volumes } }))
    const pod = await podWhen(rig, 'no-image', (seen) => {
      return containerStatus(seen)?.state?.waiting?.message?.includes('test/none') === true
    })
    expect(phaseOf(pod)).toBe('Pending')
    await deletePod(rig, 'no-image', 0)
    await podGone(rig, 'no-image')
  })

  it('keep on a claim what an earlier pod has written there', async () => {
    await createClaim('models')
    const volumes = [{ name: 'cache', persistentVolumeClaim: { claimName: 'models' } }]
    const volumeMounts = [{ name: 'cache', mountPath: '/cache' }]
    const container = { workingDir: '/cache', volumeMounts }
    await createPod(rig, 'writer', shell('echo kept > file', { container, pod: { volumes } }))
    expect(phaseOf(await podEnd(rig, 'writer'))).toBe('Succeeded')
    const script = 'cat file > "$ATELIER_TERMINATION_LOG"'
    await createPod(rig, 'reader', shell(script, { container, pod: { volumes } }))
    expect(endOf(await podEnd(rig, 'reader'))?.message).toBe('kept\n')
  })
})

/** A bound claim: the scheduler does not place pods of others. */
async function createClaim(name: string): Promise<void> {
  const { client, namespace } = rig
  const volume = `${namespace}-${randomBytes(3).toString('hex')}`
  madeVolumes.push(volume)
  const common = { accessModes: ['ReadWriteMany'], storageClassName: '' }
  const request = { resources: { requests: { storage: '1Gi' } }, volumeName: volume }
  const term = { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }
  await client.request({
    method: 'POST',
    path: '/api/v1/persistentvolumes',
    body: {
      metadata: { name: volume },
      spec: {
        ...common,
        capacity: { storage: '1Gi' },
        local: { path: '/not-looked-at' },
        claimRef: { namespace, name },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [term] }] } },
      },
    },
  })
  await client.request({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/persistentvolumeclaims`,
    body: { metadata: { name }, spec: { ...common, ...request } },
  })
}
