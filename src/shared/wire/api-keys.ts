import { z } from 'zod'
import { keyScopes } from '../domain/permissions.ts'
import { line } from './text.ts'

/** RFC 3339 with any offset, in UTC afterwards, which must have four digits for the year there too. */
const moment = z.iso
  .datetime({ offset: true })
  .max(40)
  .transform((text) => new Date(text).toISOString())
  .pipe(z.iso.datetime())
  .meta({ format: 'date-time', maxLength: 40 })

export const apiKeyRequest = z
  .strictObject({
    /** To tell one's keys apart. */
    name: line({ max: 80 }),
    /** What the key may do: no more than its owner. */
    scopes: z.array(z.enum(keyScopes)).min(1).max(keyScopes.length),
    /** Without it the key is good until it is revoked. */
    expiresTime: moment.nullable().default(null),
  })
  .meta({
    examples: [
      {
        name: 'Inspection line 4',
        scopes: ['jobs.create', 'jobs.read'],
        expiresTime: '2027-12-31T00:00:00Z',
      },
    ],
  })
export type ApiKeyRequest = z.infer<typeof apiKeyRequest>

const apiKeyView = z
  .object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(z.enum(keyScopes)),
    creationTime: z.iso.datetime(),
    expiresTime: z.iso.datetime().nullable(),
    /** To the minute. */
    lastUseTime: z.iso.datetime().nullable(),
  })
  .meta({ id: 'ApiKey' })
export type ApiKeyView = z.infer<typeof apiKeyView>

/** The only answer that has the key itself. */
export const newApiKeyView = apiKeyView.extend({ key: z.string() }).meta({ id: 'NewApiKey' })
export type NewApiKeyView = z.infer<typeof newApiKeyView>

export const apiKeyPage = z
  .object({ items: z.array(apiKeyView), next: z.string().nullable() })
  .meta({ id: 'ApiKeyPage' })

export const apiKeyParams = z.strictObject({ id: z.string().regex(/^[0-9a-z]{26}$/) })
