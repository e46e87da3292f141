import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kubeletFiles, kubeletFolderOf } from '../../../src/local/kubelet-files.ts'
import type { NodeAgent } from '../../../src/local/node-agent/agent.ts'
import type { Pod } from '../../../src/local/node-agent/pod.ts'
import { getObject } from '../../../src/platform/kube/objects.ts'
import { nodes, pathOf, pods } from '../../../src/platform/kube/resources.ts'
import { testEnvironment } from '../../support/environment.ts'
import {
  containerStatus,
  createPod,
  deletePod,
  desk,
  endOf,
  isRunning,
  openRig,
  podEnd,
  podGone,
  podWhen,
  type Rig,
  shell,
  startTestAgent,
  tell,
  untilTold,
  waitFor,
} from './support.ts'

let rig: Rig
let agent: NodeAgent
const kubeletFolder = kubeletFolderOf(testEnvironment().kubeconfigPath)

beforeAll(async () => {
  rig = await openRig()
  agent = await startTestAgent(rig, { kubeletFolder, nodeCount: 2 })
})
afterAll(async () => {
  await agent.stop()
  await rig.close()
})

type Query = Readonly<Record<string, string | number | boolean>>

/** The lines of a pod's log, asked of the API server. */
async function* follow(name: string, query: Query = {}): AsyncIterable<string> {
  yield* await rig.client.stream({
    path: pathOf(pods, { namespace: rig.namespace, name, subresource: 'log' }),
    query,
    silenceMs: 30_000,
  })
}

async function logOf(name: string, query: Query = {}): Promise<readonly string[]> {
  const lines: string[] = []
  for await (const line of follow(name, query)) lines.push(line)
  return lines
}

/** Follows a log of so many lines; only after each of them is the pod told to write the next. */
async function followTelling(pod: Pod, count: number, query: Query = {}) {
  const lines: string[] = []
  for await (const line of follow(pod.metadata.name, { ...query, follow: true })) {
    lines.push(line)
    if (lines.length < count) tell(rig, pod)
  }
  return lines
}

// Each waits mostly for its own pods.
describe.concurrent('the log of a pod, through the API server', () => {
  it('is everything that its processes have written, wherever to', async () => {
    await createPod(rig, 'both', shell('echo to output; echo to error >&2; printf open'))
    await podEnd(rig, 'both')
    expect(await logOf('both')).toEqual(['to output', 'to error', 'open'])
  })

  it('is served for every Node of the agent', async () => {
    const nodeSelector = { 'kubernetes.io/hostname': `${rig.prefix}-2` }
    await createPod(rig, 'second', shell('echo here', { pod: { nodeSelector } }))
    await podEnd(rig, 'second')
    expect(await logOf('second')).toEqual(['here'])
  })

  it('can be cut to its last lines and its first bytes', async () => {
    // More than one chunk of the reader, whose lines cross the chunks.
    await createPod(rig, 'long', shell('seq 1 30000; printf end'))
    await podEnd(rig, 'long')
    expect(await logOf('long')).toHaveLength(30_001)
    expect(await logOf('long', { tailLines: 3 })).toEqual(['29999', '30000', 'end'])
    const many = await logOf('long', { tailLines: 20_000 })
    expect([many.length, many[0]]).toEqual([20_000, '10002'])
    expect(await logOf('long', { tailLines: 40_000 })).toHaveLength(30_001)
    expect(await logOf('long', { tailLines: 0 })).toEqual([])
    expect(await logOf('long', { limitBytes: 3 })).toEqual(['1', '2'])
    expect(await logOf('long', { tailLines: 2, limitBytes: 7 })).toEqual(['30000', 'e'])
  })

  it('can be followed to the end of the container', async () => {
    const script = `echo one; ${untilTold}; echo two; ${untilTold}; echo three`
    await createPod(rig, 'followed', shell(script, desk))
    const pod = await podWhen(rig, 'followed', isRunning)
    expect(await followTelling(pod, 3)).toEqual(['one', 'two', 'three'])
    expect(await logOf('followed', { follow: true, tailLines: 1 })).toEqual(['three'])
  })

  it('can be left while it is followed', async () => {
    await createPod(rig, 'left', shell('echo first; sleep 60'))
    await podWhen(rig, 'left', isRunning)
    for await (const line of follow('left', { follow: true })) {
      expect(line).toBe('first')
      break
    }
    await deletePod(rig, 'left', 0)
    await podGone(rig, 'left')
  })

  it('is that of the run of now, and when asked for of the one before', async () => {
    const script =
      'echo run; test -f "$HOME/again" || { touch "$HOME/again"; echo fails; exit 1; }; sleep 60'
    await createPod(rig, 'again', shell(script, { pod: { restartPolicy: 'OnFailure' } }))
    await podWhen(rig, 'again', (pod) => containerStatus(pod)?.restartCount === 1 && isRunning(pod))
    await waitFor(async () => (await logOf('again')).length === 1)
    expect(await logOf('again', { previous: true })).toEqual(['run', 'fails'])
    await deletePod(rig, 'again', 0)
  })

  it('of a container among several is chosen by name', async () => {
    const containers = ['left', 'right'].map((name) => {
      return { name, image: 'test/shell', args: [`echo ${name}`] }
    })
    await createPod(rig, 'pair', { containers, automountServiceAccountToken: false })
    await podEnd(rig, 'pair')
    expect(await logOf('pair', { container: 'right' })).toEqual(['right'])
    await expect(logOf('pair')).rejects.toMatchObject({ status: 400 })
  })
})

/** A pod with a container that runs before its main one. */
function afterFirst(script: string): object {
  const first = { name: 'fetch', image: 'test/shell', args: [script], ...desk.container }
  return shell('echo then', { pod: { ...desk.pod, initContainers: [first] } })
}

function isFetching({ status }: Pod): boolean {
  return status?.initContainerStatuses?.[0]?.state?.running !== undefined
}

describe.concurrent('the log of a container that comes first', () => {
  it('is there under its name', async () => {
    await createPod(rig, 'fetched', afterFirst('echo first'))
    await podEnd(rig, 'fetched')
    expect(await logOf('fetched', { container: 'fetch' })).toEqual(['first'])
    expect(await logOf('fetched', { container: 'main' })).toEqual(['then'])
  })

  it('can be followed while the others wait for it', async () => {
    await createPod(rig, 'fetching', afterFirst(`echo one; ${untilTold}; echo two`))
    const pod = await podWhen(rig, 'fetching', isFetching)
    expect(await followTelling(pod, 2, { container: 'fetch' })).toEqual(['one', 'two'])
    await podEnd(rig, 'fetching')
  })
})

describe('a log that is not there', () => {
  it('is refused in the words of a kubelet', async () => {
    await createPod(rig, 'unmapped', shell('', { container: { image: 'test/none' } }))
    await podWhen(rig, 'unmapped', (pod) => {
      return containerStatus(pod)?.state?.waiting?.reason === 'ErrImagePull'
    })
    await expect(logOf('unmapped')).rejects.toMatchObject({
      status: 400,
      message: `container "main" in pod "unmapped" is waiting to start: image can't be pulled`,
    })
    await createPod(rig, 'once', shell('echo once'))
    await podEnd(rig, 'once')
    await expect(logOf('once', { previous: true })).rejects.toMatchObject({
      status: 400,
      message: 'previous terminated container "main" in pod "once" not found',
    })
    await createPod(rig, 'refused', shell('', { pod: { hostNetwork: true } }))
    expect(endOf(await podEnd(rig, 'refused'))).toMatchObject({ reason: 'ContainerNotRun' })
    await expect(logOf('refused')).rejects.toMatchObject({
      status: 400,
      message: 'container "main" in pod "refused" is terminated',
    })
  })

  it('is refused when times are asked for, since none are kept', async () => {
    await createPod(rig, 'timeless', shell('echo x'))
    await podEnd(rig, 'timeless')
    for (const [field, value] of [
      ['timestamps', true],
      ['sinceSeconds', 5],
    ] as const) {
      await expect(logOf('timeless', { [field]: value })).rejects.toMatchObject({
        status: 400,
        message: `${field}: the lines of this log have no times`,
      })
    }
  })
})

describe('kubectl logs', () => {
  it('prints the log, and the kubelet’s refusal', async () => {
    const [program = '', ...first] = testEnvironment().kubectl
    const kubectl = async (...args: string[]) =>
      await promisify(execFile)(program, [
        ...first,
        `--kubeconfig=${rig.kubeconfigPath}`,
        `--namespace=${rig.namespace}`,
        ...args,
      ])
    await createPod(rig, 'shown', shell('echo shown; echo here'))
    await podEnd(rig, 'shown')
    expect(await kubectl('logs', 'shown', '--tail=1')).toMatchObject({ stdout: 'here\n' })
    await expect(kubectl('logs', 'shown', '--previous')).rejects.toMatchObject({
      stderr: expect.stringMatching(/BadRequest.*previous terminated container "main"/),
    })
  })
})

function read(name: string): Buffer {
  return readFileSync(join(kubeletFolder ?? '', name))
}

function path(): string {
  return `/containerLogs/${rig.namespace}/shown/main`
}

/** How Node says that a TLS handshake was refused, or cut off by who refused it. */
const closed = { code: expect.stringMatching(/^(ECONNRESET|EPROTO|ERR_SSL_.*)$/) }

describe('the port of the kubelet', () => {
  type Certificate = { readonly cert?: Buffer; readonly key?: Buffer }

  async function ask(target: string, certificate: Certificate) {
    const { status } = await getObject(rig.client, nodes, { name: `${rig.prefix}-1` })
    const port = status?.daemonEndpoints?.kubeletEndpoint?.Port
    const ca = read(kubeletFiles.authority)
    return await new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      const url = `https://127.0.0.1:${port}${target}`
      const request = get(url, { ca, ...certificate, agent: false }, (response) => {
        text(response).then((body) => resolve({ status: response.statusCode, body }), reject)
      })
      request.once('error', reject)
    })
  }

  it('is closed to everybody without a certificate of its authority', async () => {
    await expect(ask(path(), {})).rejects.toMatchObject(closed)
    const stranger = { cert: read('etcd-client.crt'), key: read('etcd-client.key') }
    await expect(ask(path(), stranger)).rejects.toMatchObject(closed)
    const server = { cert: read(kubeletFiles.certificate), key: read(kubeletFiles.key) }
    await expect(ask(path(), server)).rejects.toMatchObject(closed)
  })

  it('knows logs only, and only of pods of its Nodes', async () => {
    const own = { cert: read('kubelet-client.crt'), key: read('kubelet-client.key') }
    expect(await ask(path(), own)).toMatchObject({ status: 200 })
    const gone = path().replace('shown', 'gone')
    expect(await ask(gone, own)).toEqual({ status: 404, body: 'pod "gone" does not exist' })
    const other = path().replace('main', 'other')
    const body = 'container "other" not found in pod "shown"'
    expect(await ask(other, own)).toEqual({ status: 404, body })
    expect(await ask('/pods', own)).toMatchObject({ status: 404 })
    expect(await ask(`${path()}?tailLines=many`, own)).toMatchObject({ status: 400 })
    const outside = `/containerLogs/${rig.namespace}/shown/..%2F..%2Fmain`
    expect(await ask(outside, own)).toMatchObject({ status: 404 })
  })
})
