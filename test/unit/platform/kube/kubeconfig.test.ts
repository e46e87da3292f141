import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { readInClusterAddress } from '../../../../src/platform/config/in-cluster.ts'
import { loadCredentials } from '../../../../src/platform/kube/credentials.ts'
import { readKubeconfig } from '../../../../src/platform/kube/kubeconfig.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'atelier-kubeconfig-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function write(content: unknown): string {
  const file = path.join(folder, `config-${(files += 1)}`)
  writeFileSync(file, typeof content === 'string' ? content : stringify(content))
  return file
}

function config({ cluster = {}, user = {} }: { cluster?: object; user?: object }) {
  return write({
    'current-context': 'here',
    contexts: [
      { name: 'elsewhere', context: { cluster: 'none', user: 'none' } },
      { name: 'here', context: { cluster: 'c', user: 'u' } },
    ],
    clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:6443', ...cluster } }],
    users: [{ name: 'u', user }],
  })
}

describe('readKubeconfig', () => {
  it('reads inline data and files relative to itself', () => {
    writeFileSync(path.join(folder, 'ca.crt'), 'CA')
    const file = config({
      cluster: { 'certificate-authority': 'ca.crt', 'tls-server-name': 'kube' },
      user: {
        'client-certificate-data': Buffer.from('CERT').toString('base64'),
        'client-key-data': Buffer.from('KEY').toString('base64'),
      },
    })
    const access = readKubeconfig(file)
    expect(access.authority?.toString()).toBe('CA')
    expect(access.certificate?.toString()).toBe('CERT')
    expect(access.key?.toString()).toBe('KEY')
    expect(access).toMatchObject({ serverName: 'kube', skipVerification: false })
  })

  it.each([
    ['a file that is not there', () => path.join(folder, 'absent'), 'cannot be read'],
    ['text that is not YAML', () => write('a: [b'), 'cannot be read'],
    ['YAML that is something else', () => write({ kind: 'Pod' }), 'current-context'],
    [
      'a context that is not there',
      () => write({ 'current-context': 'x', contexts: [], clusters: [], users: [] }),
      'has no context "x"',
    ],
    ['an address that is none', () => config({ cluster: { server: 'nowhere' } }), 'server'],
    [
      'a certificate file that is not there',
      () => config({ cluster: { 'certificate-authority': 'absent.crt' } }),
      'absent.crt',
    ],
  ])('explains %s', (_, build, expected) => {
    const file = build()
    expect(() => readKubeconfig(file)).toThrow(
      expect.objectContaining({
        code: 'platform.misconfigured',
        message: expect.stringContaining(expected),
      }),
    )
  })
})

describe('loadCredentials', () => {
  it('keeps the path of an API server behind a gateway', () => {
    const file = config({ cluster: { server: 'https://gate.example:8443/k8s/clusters/c1/' } })
    expect(loadCredentials(file)).toMatchObject({
      origin: 'https://gate.example:8443',
      basePath: '/k8s/clusters/c1',
    })
  })

  it('prefers a token file, and names it when it cannot be read', async () => {
    const { token } = loadCredentials(config({ user: { tokenFile: 'token', token: 'old' } }))
    await expect(token()).rejects.toMatchObject({ code: 'platform.misconfigured' })
    writeFileSync(path.join(folder, 'token'), 'first\n')
    expect(await token()).toBe('first')
  })

  it('has no token where certificates are used', async () => {
    expect(await loadCredentials(config({})).token()).toBeUndefined()
  })

  it('asks a credential plugin once until its token ends', async () => {
    const calls = path.join(folder, 'calls')
    const exec = (end: string) => ({
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'sh',
      args: ['-c', `echo "$WHO" >> '${calls}'; echo '${execAnswer(end)}'`],
      env: [{ name: 'WHO', value: 'plugin' }],
    })
    let nowMs = Date.parse('2026-01-01T00:00:00Z')
    const file = config({ user: { exec: exec('2026-01-01T01:00:00Z') } })
    const { token } = loadCredentials(file, { nowMs: () => nowMs })
    expect([await token(), await token()]).toEqual(['from-plugin', 'from-plugin'])
    expect(readLines(calls)).toEqual(['plugin'])
    nowMs += 59.5 * 60_000
    await token()
    expect(readLines(calls)).toHaveLength(2)
  })

  it('names the credential plugin that fails, and asks it again', async () => {
    const exec = { apiVersion: 'v1', command: 'atelier-no-such-plugin' }
    const { token } = loadCredentials(config({ user: { exec } }))
    await expect(token()).rejects.toThrow('atelier-no-such-plugin')
    await expect(token()).rejects.toThrow('atelier-no-such-plugin')
  })
})

describe('readInClusterAddress', () => {
  it('is there in a pod only', () => {
    expect(readInClusterAddress({})).toBeUndefined()
    const port = { KUBERNETES_SERVICE_PORT: '443' }
    expect(readInClusterAddress({ ...port, KUBERNETES_SERVICE_HOST: '10.0.0.1' })).toBe(
      'https://10.0.0.1:443',
    )
    expect(readInClusterAddress({ ...port, KUBERNETES_SERVICE_HOST: 'fd00::1' })).toBe(
      'https://[fd00::1]:443',
    )
  })
})

function execAnswer(expirationTimestamp: string): string {
  const status = { token: 'from-plugin', expirationTimestamp }
  return JSON.stringify({ kind: 'ExecCredential', status })
}

function readLines(file: string): readonly string[] {
  return readFileSync(file, 'utf8').trimEnd().split('\n')
}
