import { Agent, request } from 'undici'
import { z } from 'zod'
import { readKubeconfig } from '../../../src/platform/kube/kubeconfig.ts'

/** Whom the admin pretends to be, such as a service account. */
export type Impersonation = { readonly user: string; readonly groups?: readonly string[] }

export type Call = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly contentType?: string
  readonly as?: Impersonation
}

export type Answer = { readonly status: number; readonly body: unknown }

export type ApiServer = {
  readonly call: (call: Call) => Promise<Answer>
  readonly close: () => Promise<void>
}

/**
 * Bare HTTP to the API server: unlike the product's client it can pretend to be anybody, and a
 * refusal is an answer.
 */
export function openApiServer(kubeconfigPath: string): ApiServer {
  const access = readKubeconfig(kubeconfigPath)
  const connect = { ca: access.authority, cert: access.certificate, key: access.key }
  const dispatcher = new Agent({ connect, connections: 8, keepAliveTimeout: 10_000 })
  return {
    call: async ({ method, path, query, body, contentType = 'application/json', as }) => {
      const answer = await request(new URL(path, access.server), {
        method,
        query: query ?? {},
        dispatcher,
        headers: { 'content-type': contentType, ...impersonationHeaders(as) },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(30_000),
      })
      return { status: answer.statusCode, body: jsonOf(await answer.body.text()) }
    },
    close: () => dispatcher.close(),
  }
}

/** An unknown path is answered in plain text. */
function jsonOf(text: string): unknown {
  return text.startsWith('{') ? JSON.parse(text) : { message: text }
}

function impersonationHeaders(as: Impersonation | undefined): Record<string, string | string[]> {
  if (as === undefined) return {}
  return { 'impersonate-user': as.user, 'impersonate-group': [...(as.groups ?? [])] }
}

const refusalBody = z.object({
  message: z.string(),
  details: z
    .object({ causes: z.array(z.object({ field: z.string().optional(), message: z.string() })) })
    .partial()
    .optional(),
})

/** What the API server says against an object: whole text, and the fields it names. */
export type Verdict =
  | { readonly accepted: true; readonly object: unknown }
  | {
      readonly accepted: false
      readonly status: number
      readonly message: string
      readonly fields: readonly string[]
    }

export function verdictOf({ status, body }: Answer): Verdict {
  if (status < 300) return { accepted: true, object: body }
  const { message, details } = refusalBody.parse(body)
  const fields = (details?.causes ?? []).flatMap(({ field }) => (field ? [field] : []))
  return { accepted: false, status, message, fields }
}
