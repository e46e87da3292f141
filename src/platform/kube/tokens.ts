import { z } from 'zod'
import type { KubeClient } from './client.ts'
import { pathOf, serviceAccounts } from './resources.ts'

export type TokenWish = {
  readonly namespace: string
  readonly serviceAccount: string
  readonly audiences: readonly string[]
  /** At least 600: the API server refuses less. */
  readonly expirationSeconds: number
  /** The token dies with this pod. */
  readonly boundPod?: { readonly name: string; readonly uid: string } | undefined
}

export type IssuedToken = { readonly token: string; readonly expiresAt: string }

const tokenRequestAnswer = z.object({
  status: z.object({ token: z.string().min(1), expirationTimestamp: z.string() }),
})

/** Asks for a token of a service account (TokenRequest API). */
export async function requestToken(client: KubeClient, wish: TokenWish): Promise<IssuedToken> {
  const pod = wish.boundPod
  const answer = await client.request<unknown>({
    method: 'POST',
    path: pathOf(serviceAccounts, {
      namespace: wish.namespace,
      name: wish.serviceAccount,
      subresource: 'token',
    }),
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: wish.audiences,
        expirationSeconds: wish.expirationSeconds,
        ...(pod === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...pod } }),
      },
    },
  })
  const { status } = tokenRequestAnswer.parse(answer)
  return { token: status.token, expiresAt: status.expirationTimestamp }
}

/** Who a token speaks for, or why it is not accepted. */
export type TokenVerdict =
  | { readonly authenticated: false; readonly message: string }
  | {
      readonly authenticated: true
      /** `system:serviceaccount:<namespace>:<name>` for service accounts. */
      readonly username: string
      readonly uid: string
      readonly audiences: readonly string[]
      /** The pod that a projected token is bound to. */
      readonly pod?: { readonly name: string; readonly uid: string } | undefined
    }

const texts = z.array(z.string()).nullish()

const tokenReviewAnswer = z.object({
  status: z.object({
    authenticated: z.boolean().optional(),
    error: z.string().optional(),
    audiences: texts,
    user: z
      .object({
        username: z.string().optional(),
        uid: z.string().optional(),
        extra: z.record(z.string(), z.array(z.string())).nullish(),
      })
      .optional(),
  }),
})

/**
 * Asks the API server whose token this is and whether it is meant for one of `audiences`.
 * A refused token is a verdict, not an error. kube-apiserver remembers a verdict for 10 s, so a
 * token bound to a pod outlives that pod by as much.
 */
export async function reviewToken(
  client: KubeClient,
  token: string,
  audiences: readonly string[],
): Promise<TokenVerdict> {
  // The API server calls such a review malformed, which would look like a fault of ours.
  if (token === '') return { authenticated: false, message: 'there is no token' }
  const answer = await client.request<unknown>({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/tokenreviews',
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences },
    },
  })
  const { status } = tokenReviewAnswer.parse(answer)
  if (status.authenticated !== true) {
    return { authenticated: false, message: status.error ?? 'the token is not valid' }
  }
  // An API server without audience support answers with no audiences: treat that as refused.
  const granted = (status.audiences ?? []).filter((audience) => audiences.includes(audience))
  if (granted.length === 0) {
    return { authenticated: false, message: 'the token is meant for another audience' }
  }
  const { username = '', uid = '', extra } = status.user ?? {}
  return { authenticated: true, username, uid, audiences: granted, pod: podOf(extra) }
}

function podOf(extra: Readonly<Record<string, readonly string[]>> | null | undefined) {
  const name = extra?.['authentication.kubernetes.io/pod-name']?.[0]
  const uid = extra?.['authentication.kubernetes.io/pod-uid']?.[0]
  return name === undefined || uid === undefined ? undefined : { name, uid }
}
