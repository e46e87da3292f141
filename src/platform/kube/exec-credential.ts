import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { z } from 'zod'
import { AppError } from '../../shared/errors.ts'
import type { Clock } from '../../shared/clock.ts'
import { childEnvironment } from '../config/environment.ts'
import type { ExecConfig } from './kubeconfig.ts'

const run = promisify(execFile)

const EXEC_TIMEOUT_MS = 30_000
/** A token is fetched anew this long before it expires. */
const RENEW_BEFORE_MS = 60_000

const execCredential = z.object({
  status: z.object({ token: z.string().min(1), expirationTimestamp: z.iso.datetime().optional() }),
})

type Token = { readonly token: string; readonly expiresMs: number }

/**
 * Tokens from a credential plugin, as kubeconfigs of cloud providers use them
 * (client.authentication.k8s.io). Plugins that answer with a client certificate are not supported.
 */
export function execTokenSource(config: ExecConfig, clock: Clock): () => Promise<string> {
  let current: Promise<Token> | undefined
  return async () => {
    const known = await current
    const soonMs = clock.nowMs() + RENEW_BEFORE_MS
    if (known !== undefined && known.expiresMs > soonMs) return known.token
    current = fetchToken(config)
    current.catch(() => {
      current = undefined
    })
    return (await current).token
  }
}

async function fetchToken(config: ExecConfig): Promise<Token> {
  const info = { apiVersion: config.apiVersion, kind: 'ExecCredential', spec: {} }
  const wanted = Object.fromEntries((config.env ?? []).map(({ name, value }) => [name, value]))
  try {
    const { stdout } = await run(config.command, [...(config.args ?? [])], {
      env: childEnvironment({ ...wanted, KUBERNETES_EXEC_INFO: JSON.stringify(info) }),
      timeout: EXEC_TIMEOUT_MS,
      maxBuffer: 1024 * 1024,
    })
    const { status } = execCredential.parse(JSON.parse(stdout))
    const end = status.expirationTimestamp
    return { token: status.token, expiresMs: end === undefined ? Infinity : Date.parse(end) }
  } catch (cause) {
    throw new AppError(
      'platform.misconfigured',
      `the credential plugin "${config.command}" of the kubeconfig gave no token`,
      { cause },
    )
  }
}
