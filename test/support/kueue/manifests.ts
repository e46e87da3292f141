import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'

/** The names that Kueue's own manifests get from kustomize. */
export const kueueNames = {
  namespace: 'kueue-system',
  service: 'kueue-webhook-service',
  secret: 'kueue-webhook-server-cert',
} as const

const manifest = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
})
export type KueueManifest = z.infer<typeof manifest>

const definition = manifest.extend({
  spec: z.looseObject({ versions: z.array(z.looseObject({ storage: z.boolean() })) }),
})
const webhookConfiguration = manifest.extend({
  webhooks: z.array(
    z.looseObject({
      name: z.string(),
      clientConfig: z.object({ service: z.looseObject({ path: z.string() }) }),
    }),
  ),
})

/** Those whose older version the program itself converts: it looks for its address in them. */
const converted = ['clusterqueues', 'cohorts', 'localqueues', 'multikueueclusters', 'workloads']

/**
 * Without the older version, and without descriptions, which have no effect: taking 3 MB of
 * schemas in and throwing them away again keeps an API server busy for many seconds.
 */
export async function readDefinitions(folder: string, port: number): Promise<KueueManifest[]> {
  const bases = join(folder, 'config/components/crd/bases')
  const files = await Promise.all((await readdir(bases)).map((file) => readAll(join(bases, file))))
  return files.flat().map((object) => {
    const whole = definition.parse(object)
    const versions = whole.spec.versions.filter(({ storage }) => storage)
    const read = definition.parse(
      withoutDescriptions({ ...whole, spec: { ...whole.spec, versions } }),
    )
    const [plural = ''] = read.metadata.name.split('.')
    return converted.includes(plural) ? withConversion(read, port) : read
  })
}

/** A property may itself be called so: its schema is an object. */
function withoutDescriptions(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, inner: unknown) =>
      key === 'description' && typeof inner === 'string' ? undefined : inner,
    ),
  )
}

function withConversion(read: z.infer<typeof definition>, port: number): KueueManifest {
  const clientConfig = { service: serviceAt({ path: '/convert' }, port) }
  const webhook = { clientConfig, conversionReviewVersions: ['v1'] }
  return { ...read, spec: { ...read.spec, conversion: { strategy: 'Webhook', webhook } } }
}

/** Only for its own kinds and for Jobs: no other framework is switched on. */
export async function readWebhooks(folder: string, port: number): Promise<KueueManifest[]> {
  const all = await readAll(join(folder, 'config/components/webhook/manifests.yaml'))
  return all.map((object) => {
    const { webhooks, ...read } = webhookConfiguration.parse(object)
    const kept = webhooks.filter(({ clientConfig }) => isNeeded(clientConfig.service.path))
    return {
      ...read,
      metadata: { name: `kueue-${read.metadata.name}` },
      webhooks: kept.map((webhook) => {
        const service = serviceAt(webhook.clientConfig.service, port)
        return { ...webhook, clientConfig: { service } }
      }),
    }
  })
}

function isNeeded(path: string): boolean {
  return path.includes('-kueue-x-k8s-io-') || path.endsWith('-batch-v1-job')
}

function serviceAt({ path }: { readonly path: string }, port: number) {
  return { namespace: kueueNames.namespace, name: kueueNames.service, path, port }
}

async function readAll(path: string): Promise<KueueManifest[]> {
  const documents = parseAllDocuments(await readFile(path, 'utf8'))
  return documents.flatMap((document) => {
    const content: unknown = document.toJS()
    return content === null ? [] : [manifest.parse(content)]
  })
}

/** Its configuration file; `health` and `webhook` are ports on 127.0.0.1. */
export function configurationOf(ports: {
  readonly health: number
  readonly webhook: number
  readonly certificates: string
}) {
  return {
    apiVersion: 'config.kueue.x-k8s.io/v1beta2',
    kind: 'Configuration',
    namespace: kueueNames.namespace,
    health: { healthProbeBindAddress: `127.0.0.1:${ports.health}` },
    metrics: { bindAddress: '0' },
    webhook: { host: '127.0.0.1', port: ports.webhook, certDir: ports.certificates },
    leaderElection: { leaderElect: false },
    manageJobsWithoutQueueName: false,
    internalCertManagement: {
      enable: true,
      webhookServiceName: kueueNames.service,
      webhookSecretName: kueueNames.secret,
    },
    integrations: { frameworks: ['batch/job'] },
    featureGates: { VisibilityOnDemand: false },
  }
}
