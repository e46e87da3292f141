import { readFileSync } from 'node:fs'
import type { Clock } from '../../shared/clock.ts'
import { systemClock } from '../clock/system-clock.ts'
import { readInClusterAddress } from '../config/in-cluster.ts'
import { AppError } from '../../shared/errors.ts'
import { execTokenSource } from './exec-credential.ts'
import { type KubeAccess, readKubeconfig } from './kubeconfig.ts'
import { openTokenFile } from './token-file.ts'

/** How to reach the API server and prove who we are. */
export type Credentials = {
  readonly server: string
  readonly origin: string
  /** Path in front of every request, for API servers behind a gateway; empty otherwise. */
  readonly basePath: string
  readonly tls: TlsOptions
  /** The bearer token of this moment, or undefined where client certificates are used. */
  readonly token: () => Promise<string | undefined>
}

type TlsOptions = {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly servername?: string
  readonly rejectUnauthorized: boolean
}

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Reads the kubeconfig, or without one the service account that Kubernetes mounts into pods. */
export function loadCredentials(
  kubeconfigPath: string | undefined,
  clock: Clock = systemClock,
): Credentials {
  const access = kubeconfigPath === undefined ? inClusterAccess() : readKubeconfig(kubeconfigPath)
  const url = new URL(access.server)
  return {
    server: access.server,
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ''),
    tls: tlsOf(access),
    token: tokenSource(access, clock),
  }
}

function inClusterAccess(): KubeAccess {
  const server = readInClusterAddress()
  if (server === undefined) {
    throw new AppError(
      'platform.misconfigured',
      'there is no way to Kubernetes: set KUBECONFIG to a file, or run in a pod',
    )
  }
  try {
    const authority = readFileSync(`${SERVICE_ACCOUNT_FOLDER}/ca.crt`)
    const tokenFile = `${SERVICE_ACCOUNT_FOLDER}/token`
    return { server, skipVerification: false, authority, tokenFile }
  } catch (cause) {
    throw new AppError(
      'platform.misconfigured',
      `this pod has no service account: ${SERVICE_ACCOUNT_FOLDER} cannot be read`,
      { cause },
    )
  }
}

function tlsOf(access: KubeAccess): TlsOptions {
  return {
    rejectUnauthorized: !access.skipVerification,
    ...(access.authority === undefined ? {} : { ca: access.authority }),
    ...(access.certificate === undefined ? {} : { cert: access.certificate }),
    ...(access.key === undefined ? {} : { key: access.key }),
    ...(access.serverName === undefined ? {} : { servername: access.serverName }),
  }
}

function tokenSource(access: KubeAccess, clock: Clock): () => Promise<string | undefined> {
  const { tokenFile, token, exec } = access
  if (tokenFile !== undefined) return fileTokenSource(tokenFile)
  if (token !== undefined) return async () => token
  if (exec !== undefined) return execTokenSource(exec, clock)
  return async () => undefined
}

function fileTokenSource(file: string): () => Promise<string> {
  const read = openTokenFile(file)
  return async () => {
    try {
      return await read()
    } catch (cause) {
      const message = `the token file ${file} of the kubeconfig cannot be read`
      throw new AppError('platform.misconfigured', message, { cause })
    }
  }
}
