import { join } from 'node:path'
import { sleep } from '../platform/clock/sleep.ts'
import { type KubeClient, scopedClient } from '../platform/kube/client.ts'
import { type KubeAccess, readKubeconfig } from '../platform/kube/kubeconfig.ts'
import { requestToken } from '../platform/kube/tokens.ts'
import {
  controllerAudience,
  internalAudience,
  serviceAccounts,
  systemNamespace,
} from '../shared/names.ts'
import { writeSecretFile } from './files.ts'
import { kubeconfigText } from './kubeconfig-text.ts'

/** What a kubelet does for pods: token files that are replaced before they expire. */
export type ServiceAccountFiles = {
  readonly apiKubeconfig: string
  readonly controllerKubeconfig: string
  /** The controller's token for the api's internal port. */
  readonly controllerInternalToken: string
  /** The api's token for the controller that leads. */
  readonly apiControllerToken: string
}

const tokenSeconds = 3600
/** Well before the 80 % of a kubelet, so that a suspended laptop rarely wakes up too late. */
const renewMs = 10 * 60_000
const retryMs = 5000

type TokenFile = {
  readonly path: string
  readonly serviceAccount: string
  readonly audiences: readonly string[]
}

/** Writes kubeconfigs and tokens for the processes, then renews the tokens until the signal. */
export async function keepServiceAccountFiles(
  client: KubeClient,
  options: {
    readonly adminKubeconfig: string
    readonly folder: string
    readonly signal: AbortSignal
  },
): Promise<ServiceAccountFiles> {
  const { folder, signal } = options
  const access = readKubeconfig(options.adminKubeconfig)
  const files: readonly TokenFile[] = [
    { path: join(folder, 'api.token'), serviceAccount: serviceAccounts.api, audiences: [] },
    {
      path: join(folder, 'controller.token'),
      serviceAccount: serviceAccounts.controller,
      audiences: [],
    },
    {
      path: join(folder, 'controller-internal.token'),
      serviceAccount: serviceAccounts.controller,
      audiences: [internalAudience],
    },
    {
      path: join(folder, 'api-controller.token'),
      serviceAccount: serviceAccounts.api,
      audiences: [controllerAudience],
    },
  ]
  const scoped = scopedClient(client, { signal })
  await writeTokens(scoped, files)
  // Ends with the signal; writeTokens' own faults are waited out inside.
  void renew(scoped, files, signal).catch(() => undefined)
  return {
    apiKubeconfig: await writeKubeconfig(folder, 'api', access),
    controllerKubeconfig: await writeKubeconfig(folder, 'controller', access),
    controllerInternalToken: join(folder, 'controller-internal.token'),
    apiControllerToken: join(folder, 'api-controller.token'),
  }
}

async function renew(
  client: KubeClient,
  files: readonly TokenFile[],
  signal: AbortSignal,
): Promise<void> {
  let waitMs = renewMs
  while (!signal.aborted) {
    await sleep(waitMs, signal)
    if (signal.aborted) return
    waitMs = await writeTokens(client, files).then(
      () => renewMs,
      () => retryMs,
    )
  }
}

async function writeTokens(client: KubeClient, files: readonly TokenFile[]): Promise<void> {
  for (const { path, serviceAccount, audiences } of files) {
    const { token } = await requestToken(client, {
      namespace: systemNamespace,
      serviceAccount,
      audiences,
      expirationSeconds: tokenSeconds,
    })
    await writeSecretFile(path, token)
  }
}

async function writeKubeconfig(folder: string, name: string, access: KubeAccess): Promise<string> {
  const text = kubeconfigText({
    server: access.server,
    authority: access.authority,
    skipVerification: access.skipVerification,
    user: { tokenFile: join(folder, `${name}.token`) },
  })
  return writeSecretFile(join(folder, `${name}.kubeconfig`), text)
}
