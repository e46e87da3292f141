import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { transport } from './sessions.ts'
import { language, opaque } from './text.ts'

export const ssoRequest = z
  .strictObject({
    issuer: labelName.meta({ description: '`name` of an entry of GET /v1/sso/issuers' }),
    idToken: opaque({ max: 16_384 }),
    nonce: opaque({ max: 255 })
      .optional()
      .meta({ description: 'What you sent to the provider; the token must hold it' }),
    department: labelName
      .optional()
      .meta({ description: 'Needed the first time: the department you ask for' }),
    language: language.default('en'),
    transport,
  })
  .meta({
    examples: [
      {
        issuer: 'company',
        idToken: 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
        department: 'vision',
      },
    ],
  })
export type SsoRequest = z.infer<typeof ssoRequest>

/** What a client needs to begin signing in at a provider. */
const issuerView = z
  .object({
    name: labelName,
    displayName: z.string(),
    kind: z.enum(['Oidc', 'Firebase']),
    issuer: z.string(),
    clientId: z.string(),
  })
  .meta({ id: 'SsoIssuer' })

export const issuerList = z.object({ items: z.array(issuerView) }).meta({ id: 'SsoIssuerList' })
export type IssuerList = z.infer<typeof issuerList>
