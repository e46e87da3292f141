import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startKubernetes } from '../../../src/local/components/kubernetes.ts'
import { resolveKubernetes } from '../../../src/local/components/kubernetes-programs.ts'
import { applyPlatform } from '../../../src/local/manifests.ts'
import { freePorts, type Ports } from '../../../src/local/ports.ts'
import { openRunRecord } from '../../../src/local/run-record.ts'
import { Supervisor } from '../../../src/local/supervisor.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { readLocalConfig } from '../../../src/platform/config/local.ts'
import { type KubeClient, openKubeClient } from '../../../src/platform/kube/client.ts'

/** A real control plane without any other part, which nothing but one section uses. */
export type BenchCluster = {
  readonly kubeconfigPath: string
  readonly admin: KubeClient
  readonly supervisor: Supervisor
  readonly ports: Ports
  readonly folder: string
  readonly signal: AbortSignal
  readonly stop: () => Promise<void>
}

/** etcd runs without fsync, as in the tests. A run that is killed is tidied up by the next tests. */
export async function openBenchCluster(): Promise<BenchCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'atelier-test-'))
  const record = await openRunRecord(join(folder, 'run.json'))
  const stopping = new AbortController()
  const { signal } = stopping
  const supervisor = new Supervisor({ logFolder: join(folder, 'logs'), record, signal })
  const ports = await freePorts()
  const stop = async () => {
    stopping.abort()
    await supervisor.stopAll()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const { kubeconfigPath } = await startKubernetes(supervisor, {
      programs: await resolveKubernetes(readLocalConfig(), signal),
      folder: join(folder, 'kubernetes'),
      ports,
      durable: false,
      clock: systemClock,
    })
    const admin = openKubeClient({ kubeconfigPath, userAgent: 'atelier-bench' })
    await applyPlatform(admin, signal)
    const close = async () => {
      await admin.close()
      await stop()
    }
    return { kubeconfigPath, admin, supervisor, ports, folder, signal, stop: close }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Such as `v1.35.0`. */
export async function kubernetesVersion({ admin }: BenchCluster): Promise<string> {
  const { gitVersion } = await admin.request<{ readonly gitVersion: string }>({
    method: 'GET',
    path: '/version',
  })
  return gitVersion
}
