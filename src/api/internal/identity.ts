import {
  type AcceptedToken,
  openTokenReader,
  serviceAccountOf,
  type TokenReaderOptions,
} from '../../platform/kube/token-reader.ts'
import { serviceAccounts, systemNamespace } from '../../shared/names.ts'

/** Who calls the internal port, as the API server says. */
export type Identity =
  | { readonly kind: 'Controller' }
  | { readonly kind: 'JobPod'; readonly namespace: string; readonly podUID: string }
  | { readonly kind: 'Other' }

export type IdentityReader = {
  /** Errors: `auth.required`, `auth.invalid_token`, `platform.unavailable`. */
  readonly read: (authorization: string | undefined) => Promise<Identity>
}

export function openIdentityReader(options: TokenReaderOptions): IdentityReader {
  const tokens = openTokenReader(options)
  return { read: async (authorization) => identityOf(await tokens.read(authorization)) }
}

function identityOf(token: AcceptedToken): Identity {
  const { namespace, name } = serviceAccountOf(token) ?? {}
  if (namespace === systemNamespace && name === serviceAccounts.controller) {
    return { kind: 'Controller' }
  }
  if (namespace !== undefined && name === serviceAccounts.job && token.pod !== undefined) {
    return { kind: 'JobPod', namespace, podUID: token.pod.uid }
  }
  return { kind: 'Other' }
}
