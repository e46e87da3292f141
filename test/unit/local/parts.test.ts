import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { planDatabase } from '../../../src/local/components/database.ts'
import { judgeAtomicity } from '../../../src/local/components/database-probe.ts'
import {
  resolveKubectl,
  resolveKubernetes,
} from '../../../src/local/components/kubernetes-programs.ts'
import { planRedis } from '../../../src/local/components/redis.ts'
import { type LocalConfig, readLocalConfig } from '../../../src/platform/config/local.ts'

const { signal } = new AbortController()
const stopped = AbortSignal.abort(new Error('no builds in this test'))

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atelier-parts-'))
  // Empty: nothing has been built or downloaded yet.
  vi.stubEnv('ATELIER_CACHE_FOLDER', join(folder, 'cache'))
  return () => vi.unstubAllEnvs()
})

function configOf(environment: Readonly<Record<string, string>> = {}): LocalConfig {
  return readLocalConfig({ PATH: folder, ...environment })
}

/** A program that only tells its version. */
async function install(name: string, version: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\necho "${name} v${version} (build 9.9)"\n`, {
    mode: 0o755,
  })
}

async function installKubernetes(version: string, etcdVersion: string): Promise<void> {
  const names = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl']
  for (const name of names) await install(name, version)
  await install('etcd', etcdVersion)
}

describe('Kubernetes', () => {
  test('is taken from PATH when all programs are there', async () => {
    await installKubernetes('1.34.1', '3.6.5')
    const programs = await resolveKubernetes(configOf(), signal)
    expect(programs.etcd).toEqual([join(folder, 'etcd')])
    expect(programs.source).toBe('Kubernetes 1.34.1, etcd 3.6.5 (PATH)')
  })

  test('is taken from KUBEBUILDER_ASSETS before PATH', async () => {
    await installKubernetes('1.33.0', '3.5.17')
    const config = configOf({ PATH: '/nowhere', KUBEBUILDER_ASSETS: folder })
    expect((await resolveKubernetes(config, signal)).source).toContain(folder)
  })

  test.each([
    ['1.32.9', '3.6.5', 'Kubernetes 1.32.9 is too old'],
    ['1.35.0', '3.5.16', 'etcd 3.5.16 is too old'],
  ])('of version %s with etcd %s is refused', async (version, etcdVersion, reason) => {
    await installKubernetes(version, etcdVersion)
    await expect(resolveKubernetes(configOf(), stopped)).rejects.toThrow(reason)
  })

  test('that is nowhere ends in one message with every way there is', async () => {
    await install('etcd', '3.6.5')
    const message = await resolveKubernetes(configOf(), stopped).catch(String)
    expect(message).toMatch(/1\. ATELIER_KUBECONFIG[^]*2\. KUBEBUILDER_ASSETS[^]*3\. tools\/kube/)
    expect(message).toContain('PATH: no kube-apiserver, kube-controller-manager')
    expect(message).toContain('install Go')
  })

  test('of somebody else needs only kubectl', async () => {
    await install('kubectl', '1.30.0')
    const config = configOf({ ATELIER_KUBECONFIG: '/kubeconfig' })
    expect(await resolveKubectl(config, stopped)).toEqual([join(folder, 'kubectl')])
  })
})

describe('the database', () => {
  test('of MONGODB_URI comes first', async () => {
    await install('mongod', '8.0.0')
    const config = configOf({ MONGODB_URI: 'mongodb://h' })
    expect(await planDatabase(config, signal)).toEqual({ kind: 'Existing', uri: 'mongodb://h' })
  })

  test('is mongod on PATH from version 6 on', async () => {
    await install('mongod', '6.0.1')
    const program = join(folder, 'mongod')
    expect(await planDatabase(configOf(), signal)).toEqual({ kind: 'Mongod', program })
  })

  test('that is nowhere ends in one message with every way there is', async () => {
    await install('mongod', '5.0.1')
    const message = await planDatabase(configOf(), signal).catch(String)
    expect(message).toMatch(/1\. MONGODB_URI[^]*found 5\.0\.1, too old[^]*3\. tools\/documentdb/)
    expect(message).toContain('this machine has no apt-get')
  })

  test('is fit when exactly the credits that were there were taken', () => {
    expect(() => judgeAtomicity({ balance: 48, taken: 48, left: 0 })).not.toThrow()
  })

  test.each([
    ['one was taken twice', 49, 0],
    ['one was lost', 47, 0],
    ['the balance went below zero', 48, -1],
    ['the account is gone', 48, undefined],
  ])('is refused when %s', (_, taken, left) => {
    expect(() => judgeAtomicity({ balance: 48, taken, left })).toThrow('not atomic')
  })
})

describe('Redis', () => {
  test('of REDIS_URL comes first', async () => {
    const config = configOf({ REDIS_URL: 'redis://h' })
    expect(await planRedis(config, signal)).toEqual({ kind: 'Existing', url: 'redis://h' })
  })

  test.each(['redis-server', 'valkey-server'])('is %s on PATH', async (name) => {
    await install(name, '7.2.4')
    const program = join(folder, name)
    const description = `${program} 7.2.4`
    expect(await planRedis(configOf(), signal)).toEqual({ kind: 'Server', program, description })
  })

  test('that is nowhere ends in one message with every way there is', async () => {
    const message = await planRedis(configOf(), signal).catch(String)
    expect(message).toMatch(
      /1\. REDIS_URL[^]*2\. redis-server, then valkey-server[^]*3\. the Debian/,
    )
  })
})

test('a wrong variable is named', () => {
  expect(() => configOf({ ATELIER_PORT_BASE: '80' })).toThrow('ATELIER_PORT_BASE')
})
