import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../../shared/clock.ts'
import {
  type CertificateKey,
  type CertificateRequest,
  type Issue,
  issueCertificate,
  newAuthority,
} from '../certificates.ts'
import { keptText, writeSecretFile } from '../files.ts'
import { kubeletFiles } from '../kubelet-files.ts'
import { kubeconfigText } from '../kubeconfig-text.ts'

/** Files with the identities of one control plane. Paths are absolute. */
export type Identities = {
  readonly folder: string
  readonly authority: string
  readonly serviceAccountKey: string
  readonly apiServer: KeyFiles
  readonly etcdAuthority: string
  readonly etcd: KeyFiles
  readonly etcdClient: KeyFiles
  readonly kubeletAuthority: string
  /** With which the node agent answers. */
  readonly kubelet: KeyFiles
  /** With which kube-apiserver asks the node agent for logs. */
  readonly kubeletClient: KeyFiles
  readonly kubeconfigs: { readonly [name in KubeconfigName]: string }
}
export type KeyFiles = { readonly certificate: string; readonly key: string }
type KubeconfigName = 'admin' | 'controllers' | 'scheduler'

const authorityDays = 3650
const certificateDays = 365
const clients = {
  admin: { commonName: 'atelier-admin', organization: 'system:masters' },
  controllers: { commonName: 'system:kube-controller-manager' },
  scheduler: { commonName: 'system:kube-scheduler' },
} as const
const authoritySchema = z.object({ certificatePem: z.string(), keyPem: z.string() })

/**
 * Makes the authorities and the service-account key once per folder, and the short-lived
 * certificates and kubeconfigs anew at each start. etcd has an authority of its own: whoever may
 * talk to etcd may do everything, so no Kubernetes client certificate may open it. The kubelet's
 * port has one as well: whoever shows a certificate of it is kube-apiserver, and nobody else.
 */
export async function makeIdentities(
  folder: string,
  options: { readonly server: string; readonly clock: Clock },
): Promise<Identities> {
  const write = (name: string, text: string): Promise<string> =>
    writeSecretFile(join(folder, name), text)
  const issue = (validDays: number): Issue => ({
    nowMs: options.clock.nowMs(),
    validDays,
    serial: randomBytes(16),
  })
  const authority = await keptAuthority(folder, 'kubernetes', issue(authorityDays))
  const etcdAuthority = await keptAuthority(folder, 'etcd', issue(authorityDays))
  const kubeletAuthority = await keptAuthority(folder, 'kubelet', issue(authorityDays))
  const writeKey = async (name: string, made: CertificateKey): Promise<KeyFiles> => ({
    certificate: await write(`${name}.crt`, made.certificatePem),
    key: await write(`${name}.key`, made.keyPem),
  })
  const issued = (from: CertificateKey, request: CertificateRequest): Promise<CertificateKey> =>
    issueCertificate(from, request, issue(certificateDays))
  const writeKubeconfig = async (name: KubeconfigName): Promise<string> => {
    const client = await issued(authority, { subject: clients[name], use: 'Client' })
    const text = kubeconfigText({
      server: options.server,
      authority: Buffer.from(authority.certificatePem),
      user: keyUser(client),
    })
    return write(`${name}.kubeconfig`, text)
  }
  return {
    folder,
    authority: await write('ca.crt', authority.certificatePem),
    serviceAccountKey: await keptServiceAccountKey(folder),
    apiServer: await writeKey('apiserver', await issued(authority, serverOf('kube-apiserver'))),
    etcdAuthority: await write('etcd-ca.crt', etcdAuthority.certificatePem),
    etcd: await writeKey('etcd', await issued(etcdAuthority, serverOf('etcd'))),
    etcdClient: await writeKey(
      'etcd-client',
      await issued(etcdAuthority, { subject: { commonName: 'kube-apiserver' }, use: 'Client' }),
    ),
    kubeletAuthority: await write(kubeletFiles.authority, kubeletAuthority.certificatePem),
    kubelet: await writeKey('kubelet', await issued(kubeletAuthority, serverOf('node-agent'))),
    kubeletClient: await writeKey(
      'kubelet-client',
      await issued(kubeletAuthority, { subject: { commonName: 'kube-apiserver' }, use: 'Client' }),
    ),
    kubeconfigs: {
      admin: await writeKubeconfig('admin'),
      controllers: await writeKubeconfig('controllers'),
      scheduler: await writeKubeconfig('scheduler'),
    },
  }
}

function serverOf(commonName: string): CertificateRequest {
  return {
    subject: { commonName },
    use: 'Server',
    dnsNames: ['localhost', 'kubernetes', 'kubernetes.default.svc'],
    addresses: ['127.0.0.1', '10.0.0.1'],
  }
}

function keyUser(client: CertificateKey): Readonly<Record<string, string>> {
  return {
    'client-certificate-data': Buffer.from(client.certificatePem).toString('base64'),
    'client-key-data': Buffer.from(client.keyPem).toString('base64'),
  }
}

async function keptAuthority(folder: string, name: string, issue: Issue): Promise<CertificateKey> {
  const text = await keptText(join(folder, `${name}-authority.json`), async () =>
    JSON.stringify(await newAuthority({ commonName: `atelier-${name}` }, issue)),
  )
  return authoritySchema.parse(JSON.parse(text))
}

async function keptServiceAccountKey(folder: string): Promise<string> {
  const path = join(folder, 'service-account.key')
  await keptText(path, () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    // kube-apiserver derives the public key only from this older form.
    return privateKey.export({ type: 'sec1', format: 'pem' }).toString()
  })
  return path
}
