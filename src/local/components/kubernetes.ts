import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../shared/clock.ts'
import { writeSecretFile } from '../files.ts'
import { answersOk } from '../ready.ts'
import type { Ports } from '../ports.ts'
import type { LocalProcess, Supervisor } from '../supervisor.ts'
import { goSettings } from './go-settings.ts'
import { type Identities, makeIdentities } from './kubernetes-identities.ts'
import type { CommandLine, KubernetesPrograms } from './kubernetes-programs.ts'

export type ControlPlane = {
  /** Of a user in system:masters. */
  readonly kubeconfigPath: string
}

export type KubernetesOptions = {
  readonly programs: KubernetesPrograms
  /** Identities and etcd's data are kept here. */
  readonly folder: string
  readonly ports: Ports
  /** False trades safety against power loss for speed: only for tests. */
  readonly durable: boolean
  readonly clock: Clock
}

/** Many small objects are written at once in tests and benchmarks. */
const rateFlags = ['--kube-api-qps=500', '--kube-api-burst=1000']

/**
 * Starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler on the loopback
 * interface with RBAC, the Node authorizer and their own authorities.
 */
export async function startKubernetes(
  supervisor: Supervisor,
  options: KubernetesOptions,
): Promise<ControlPlane> {
  const server = `https://127.0.0.1:${options.ports.kubernetes}`
  const identities = await makeIdentities(join(options.folder, 'identities'), {
    server,
    clock: options.clock,
  })
  await startEtcd(supervisor, options, identities)
  await startApiServer(supervisor, options, identities)
  await Promise.all([
    startControllers(supervisor, options, identities),
    startScheduler(supervisor, options, identities),
  ])
  return { kubeconfigPath: identities.kubeconfigs.admin }
}

async function startEtcd(
  supervisor: Supervisor,
  { programs, folder, ports, durable }: KubernetesOptions,
  { etcd, etcdAuthority, etcdClient }: Identities,
): Promise<LocalProcess> {
  const url = `https://127.0.0.1:${ports.etcd}`
  const client = await readClient(etcdAuthority, etcdClient)
  return supervisor.start({
    name: 'etcd',
    environment: goSettings({ durable }),
    ...commandOf(programs.etcd, [
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      // A single member has no peers, but etcd wants the flag: any free port.
      '--listen-peer-urls=http://127.0.0.1:0',
      `--cert-file=${etcd.certificate}`,
      `--key-file=${etcd.key}`,
      `--trusted-ca-file=${etcdAuthority}`,
      '--client-cert-auth=true',
      '--auto-compaction-mode=periodic',
      '--auto-compaction-retention=30m',
      '--log-level=warn',
      ...(durable ? [] : ['--unsafe-no-fsync']),
    ]),
    ready: (signal) => answersOk(`${url}/health`, { tls: client, signal }),
  })
}

async function startApiServer(
  supervisor: Supervisor,
  { programs, ports, durable }: KubernetesOptions,
  identities: Identities,
): Promise<LocalProcess> {
  const { apiServer, authority, etcdClient, kubeletClient, serviceAccountKey } = identities
  const authentication = await writeAuthentication(identities.folder)
  const tls = { ca: await readFile(authority) }
  return supervisor.start({
    name: 'kube-apiserver',
    environment: goSettings({ durable }),
    ...commandOf(programs['kube-apiserver'], [
      `--etcd-servers=https://127.0.0.1:${ports.etcd}`,
      `--etcd-cafile=${identities.etcdAuthority}`,
      `--etcd-certfile=${etcdClient.certificate}`,
      `--etcd-keyfile=${etcdClient.key}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${ports.kubernetes}`,
      `--tls-cert-file=${apiServer.certificate}`,
      `--tls-private-key-file=${apiServer.key}`,
      `--client-ca-file=${authority}`,
      `--authentication-config=${authentication}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${serviceAccountKey}`,
      `--service-account-signing-key-file=${serviceAccountKey}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      // Logs come from the node agent. Its Nodes have names that nobody can resolve.
      `--kubelet-certificate-authority=${identities.kubeletAuthority}`,
      `--kubelet-client-certificate=${kubeletClient.certificate}`,
      `--kubelet-client-key=${kubeletClient.key}`,
      '--kubelet-preferred-address-types=InternalIP',
      '--endpoint-reconciler-type=none',
      // As most clusters: device plugins need it, and our own policies must be what refuses.
      '--allow-privileged=true',
      '--profiling=false',
    ]),
    ready: (signal) => answersOk(`https://127.0.0.1:${ports.kubernetes}/readyz`, { tls, signal }),
  })
}

async function startControllers(
  supervisor: Supervisor,
  { programs, ports, durable }: KubernetesOptions,
  { authority, apiServer, serviceAccountKey, kubeconfigs }: Identities,
): Promise<LocalProcess> {
  const tls = { ca: await readFile(authority) }
  return supervisor.start({
    name: 'kube-controller-manager',
    environment: goSettings({ durable }),
    ...commandOf(programs['kube-controller-manager'], [
      `--kubeconfig=${kubeconfigs.controllers}`,
      `--root-ca-file=${authority}`,
      `--service-account-private-key-file=${serviceAccountKey}`,
      // Each controller acts with its own service account and role, as in a real cluster.
      '--use-service-account-credentials=true',
      '--bind-address=127.0.0.1',
      `--secure-port=${ports.controllers}`,
      `--tls-cert-file=${apiServer.certificate}`,
      `--tls-private-key-file=${apiServer.key}`,
      '--leader-elect=false',
      '--profiling=false',
      ...rateFlags,
    ]),
    ready: (signal) => answersOk(`https://127.0.0.1:${ports.controllers}/healthz`, { tls, signal }),
  })
}

async function startScheduler(
  supervisor: Supervisor,
  { programs, ports, durable }: KubernetesOptions,
  { authority, apiServer, kubeconfigs }: Identities,
): Promise<LocalProcess> {
  const tls = { ca: await readFile(authority) }
  return supervisor.start({
    name: 'kube-scheduler',
    environment: goSettings({ durable }),
    ...commandOf(programs['kube-scheduler'], [
      `--kubeconfig=${kubeconfigs.scheduler}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${ports.scheduler}`,
      `--tls-cert-file=${apiServer.certificate}`,
      `--tls-private-key-file=${apiServer.key}`,
      '--leader-elect=false',
      '--profiling=false',
      ...rateFlags,
    ]),
    ready: (signal) => answersOk(`https://127.0.0.1:${ports.scheduler}/healthz`, { tls, signal }),
  })
}

/** Nobody is anonymous, except who asks for health. */
async function writeAuthentication(folder: string): Promise<string> {
  const conditions = ['/livez', '/readyz', '/healthz'].map((path) => ({ path }))
  const configuration = {
    apiVersion: 'apiserver.config.k8s.io/v1beta1',
    kind: 'AuthenticationConfiguration',
    anonymous: { enabled: true, conditions },
  }
  return writeSecretFile(join(folder, 'authentication.json'), JSON.stringify(configuration))
}

async function readClient(
  authority: string,
  files: { readonly certificate: string; readonly key: string },
): Promise<{ readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer }> {
  const [ca, cert, key] = await Promise.all([
    readFile(authority),
    readFile(files.certificate),
    readFile(files.key),
  ])
  return { ca, cert, key }
}

function commandOf(
  [command, ...first]: CommandLine,
  args: readonly string[],
): { readonly command: string; readonly args: readonly string[] } {
  return { command, args: [...first, ...args] }
}
