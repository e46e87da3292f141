import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { labelName } from '../../../shared/crd/common.ts'
import { AppError } from '../../../shared/errors.ts'

/** Somebody whose ID tokens we believe. */
export type Issuer = {
  /** Short name in requests. */
  readonly name: string
  readonly displayName: string
  /** `iss` of the tokens, compared letter by letter. */
  readonly issuer: string
  /** `aud` of the tokens: our client id there. */
  readonly clientId: string
  /** Absent: found by OpenID Connect Discovery. */
  readonly jwksUri?: string | undefined
  /** Firebase demands `auth_time`; see `firebaseDefaults`. */
  readonly kind: 'Oidc' | 'Firebase'
}

/** TLS, or this very machine: keys that come over a network in clear could be anybody's. */
export const safeUrl = z.url({ protocol: /^https?$/ }).refine(isSafe, {
  error: 'must be an https address (http only for 127.0.0.1)',
})

const common = { name: labelName, displayName: z.string().min(1).max(128).optional() }
const fileShape = z
  .array(
    z.discriminatedUnion('kind', [
      z.strictObject({
        ...common,
        kind: z.literal('Oidc'),
        issuer: safeUrl,
        clientId: z.string().min(1).max(255),
        jwksUri: safeUrl.optional(),
      }),
      z.strictObject({
        ...common,
        kind: z.literal('Firebase'),
        project: z.string().regex(/^[a-z][a-z0-9-]{4,62}$/),
        jwksUri: safeUrl.optional(),
      }),
    ]),
  )
  .max(32)
  .refine((issuers) => new Set(issuers.map(({ name }) => name)).size === issuers.length, {
    error: 'two issuers have one name',
  })

/** None without a file. Errors: `platform.misconfigured` that names what is wrong in it. */
export async function readIssuers(path: string | undefined): Promise<readonly Issuer[]> {
  if (path === undefined) return []
  const content = await readFile(path, 'utf8')
    .then((json): unknown => JSON.parse(json))
    .catch((cause: unknown) => {
      throw misconfigured('it is not readable JSON', cause)
    })
  const parsed = fileShape.safeParse(content)
  if (parsed.success) return parsed.data.map(toIssuer)
  const faults = parsed.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`)
  throw misconfigured(faults.slice(0, 3).join('; '))
}

function toIssuer(entry: z.infer<typeof fileShape>[number]): Issuer {
  const { name, kind, displayName = name, jwksUri } = entry
  if (kind === 'Firebase') {
    return { name, kind, displayName, ...firebaseDefaults(entry.project, jwksUri) }
  }
  const { issuer, clientId } = entry
  return { name, kind, displayName, issuer, clientId, jwksUri }
}

/** firebase.google.com/docs/auth/admin/verify-id-tokens, "third-party JWT library". */
function firebaseDefaults(project: string, jwksUri = firebaseKeys) {
  return { issuer: `https://securetoken.google.com/${project}`, clientId: project, jwksUri }
}

const firebaseKeys =
  'https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com'

function isSafe(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  return protocol === 'https:' || ['127.0.0.1', '[::1]', 'localhost'].includes(hostname)
}

function misconfigured(message: string, cause?: unknown): AppError {
  const text = `ATELIER_OIDC_ISSUERS_FILE: ${message}`
  return new AppError('platform.misconfigured', text, { cause })
}
