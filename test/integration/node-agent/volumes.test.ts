import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createObject, reviewToken } from '../../../src/platform/kube/objects.ts'
import { configMaps, secrets } from '../../../src/platform/kube/resources.ts'
import type { NodeAgent } from '../../../src/local/node-agent/agent.ts'
import { eventually } from '../../support/eventually.ts'
import {
  type Rig,
  createPod,
  deletePod,
  endOf,
  isRunning,
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
  // A token of ten minutes is renewed after 0.3 s.
  agent = await startTestAgent(rig, { tokenRenewalShare: 0.0005 })
  const { namespace } = rig
  await createObject(rig.client, secrets, {
    metadata: { name: 'keys', namespace },
    data: { 'a.key': Buffer.from([0, 255, 10]).toString('base64') },
  })
  await createObject(rig.client, configMaps, {
    metadata: { name: 'settings', namespace },
    data: { 'colour.txt': 'blue', 'size.txt': '64' },
    binaryData: { 'part.png': Buffer.from([137, 80, 0, 255]).toString('base64') },
  })
})
afterAll(async () => {
  await agent.stop()
  await rig.close()
})

const audience = 'internal.atelier.dev'
const tokenVolume = {
  name: 'token',
  projected: {
    sources: [{ serviceAccountToken: { audience, expirationSeconds: 600, path: 'token' } }],
  },
}
const tokenMount = { name: 'token', mountPath: '/var/run/secrets/atelier.dev' }

function volumePath(uid: string, ...rest: readonly string[]): string {
  return join(rig.folder, 'pods', uid, 'volumes', ...rest)
}

describe('a projected service account token', () => {
  it('is valid for its audience and bound to the pod', async () => {
    const container = {
      env: [{ name: 'TOKEN_FILE', value: '/var/run/secrets/atelier.dev/token' }],
      volumeMounts: [tokenMount],
    }
    const script = 'cat "$TOKEN_FILE" > "$ATELIER_TERMINATION_LOG"'
    await createPod(rig, 'token', shell(script, { container, pod: { volumes: [tokenVolume] } }))
    const pod = await podEnd(rig, 'token')
    const token = endOf(pod)?.message ?? ''
    const { uid } = pod.metadata
    expect(await reviewToken(rig.client, token, [audience])).toMatchObject({
      authenticated: true,
      username: `system:serviceaccount:${rig.namespace}:default`,
      pod: { name: 'token', uid },
    })
    const other = await reviewToken(rig.client, token, ['https://kubernetes.default.svc'])
    expect(other.authenticated).toBe(false)
  })

  it('is renewed in place while the pod runs, and gone when it has ended', async () => {
    const container = { volumeMounts: [tokenMount] }
    const spec = shell('exec sleep 600', { container, pod: { volumes: [tokenVolume] } })
    await createPod(rig, 'renewed', spec)
    const pod = await podWhen(rig, 'renewed', isRunning)
    const file = volumePath(pod.metadata.uid, 'token', 'token')
    const first = readFileSync(file, 'utf8')
    await waitFor(() => readFileSync(file, 'utf8') !== first)
    const second = await reviewToken(rig.client, readFileSync(file, 'utf8'), [audience])
    expect(second.authenticated).toBe(true)
    expect(statSync(file).mode & 0o077).toBe(0)
    await deletePod(rig, 'renewed')
    await podGone(rig, 'renewed')
    await waitFor(() => !existsSync(file))
    // What the API server knows of its pods lags behind.
    await eventually(async () => {
      expect((await reviewToken(rig.client, first, [audience])).authenticated).toBe(false)
    })
  })
})

describe('volumes', () => {
  it('hold the files of Secrets, ConfigMaps and fields, and a folder to write in', async () => {
    const volumes = [
      { name: 'scratch', emptyDir: {} },
      { name: 'keys', secret: { secretName: 'keys', defaultMode: 0o400 } },
      {
        name: 'settings',
        configMap: { name: 'settings', items: [{ key: 'colour.txt', path: 'sub/c.txt' }] },
      },
      {
        name: 'all',
        projected: {
          sources: [
            { configMap: { name: 'settings' } },
            { secret: { name: 'missing', optional: true } },
            { downwardAPI: { items: [{ path: 'me', fieldRef: { fieldPath: 'metadata.name' } }] } },
          ],
        },
      },
    ]
    const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/mnt/${name}` }))
    const script = `
      const { readFileSync, statSync, writeFileSync } = require('fs')
      const { KEYS, SETTINGS, ALL, SCRATCH } = process.env
      const text = (file) => readFileSync(file, 'utf8')
      writeFileSync(SCRATCH + '/note', 'mine')
      writeFileSync(process.env.ATELIER_TERMINATION_LOG, JSON.stringify({
        key: [...readFileSync(KEYS + '/a.key')],
        mode: statSync(KEYS + '/a.key').mode & 0o777,
        colour: text(SETTINGS + '/sub/c.txt'),
        size: text(ALL + '/size.txt'),
        me: text(ALL + '/me'),
        note: text('note'),
        args: process.argv.slice(1),
      }))`
    const env = volumes.map(({ name }) => ({ name: name.toUpperCase(), value: `/mnt/${name}` }))
    const container = {
      image: 'test/node',
      args: [script, '/mnt/scratch/note', 'see /mnt/scratch'],
      workingDir: '/mnt/scratch',
      env,
      volumeMounts,
    }
    await createPod(rig, 'files', shell('', { container, pod: { volumes } }))
    const pod = await podEnd(rig, 'files')
    expect(phaseOf(pod)).toBe('Succeeded')
    expect(JSON.parse(endOf(pod)?.message ?? '')).toEqual({
      key: [0, 255, 10],
      mode: 0o400,
      colour: 'blue',
      size: '64',
      me: 'files',
      note: 'mine',
      // Only what starts with a mounted path is rewritten: there is no mount namespace.
      args: [volumePath(pod.metadata.uid, 'scratch', 'note'), 'see /mnt/scratch'],
    })
  })

  it('hold the inputs of a job: the bytes of a key, and nothing where there is none', async () => {
    const optional = true
    const key = (name: string, item: { key: string; path: string }) => {
      return { configMap: { name, optional, items: [item] } }
    }
    const sources = [
      key('settings', { key: 'part.png', path: '0' }),
      key('settings', { key: 'none.png', path: '1' }),
      key('nothing', { key: 'part.png', path: '2' }),
    ]
    const volumes = [{ name: 'inputs', projected: { sources } }]
    const container = {
      env: [{ name: 'INPUTS', value: '/inputs' }],
      volumeMounts: [{ name: 'inputs', mountPath: '/inputs', readOnly: true }],
    }
    const script = 'cd "$INPUTS" && (ls && od -An -tu1 0) > "$ATELIER_TERMINATION_LOG"'
    await createPod(rig, 'inputs', shell(script, { container, pod: { volumes } }))
    const words = endOf(await podEnd(rig, 'inputs'))
      ?.message?.trim()
      .split(/\s+/)
    expect(words).toEqual(['0', '137', '80', '0', '255'])
  })

  it('include the token that the API server adds for a service account', async () => {
    const path = '/var/run/secrets/kubernetes.io/serviceaccount'
    const env = [{ name: 'FOLDER', value: path }]
    const script = 'cd "$FOLDER" && test -s token -a -s ca.crt && test "$(cat namespace)" != ""'
    const pod = { automountServiceAccountToken: true }
    await createPod(rig, 'automount', shell(script, { container: { env }, pod }))
    expect(phaseOf(await podEnd(rig, 'automount'))).toBe('Succeeded')
  })

  it('belong to one pod: two pods never share an emptyDir or an address', async () => {
    const container = { volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }] }
    const pod = { volumes: [{ name: 'scratch', emptyDir: {} }] }
    const spec = shell('pwd > "$ATELIER_TERMINATION_LOG"', {
      container: { ...container, workingDir: '/scratch' },
      pod,
    })
    await createPod(rig, 'one', spec)
    await createPod(rig, 'two', spec)
    const [one, two] = [await podEnd(rig, 'one'), await podEnd(rig, 'two')]
    expect(endOf(one)?.message).not.toBe(endOf(two)?.message)
    expect(one.status?.podIP).not.toBe(two.status?.podIP)
  })
})
