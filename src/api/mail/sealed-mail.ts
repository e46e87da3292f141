import { z } from 'zod'
import type { Seal } from '../../platform/seal/seal.ts'
import type { MailContent } from './mailer.ts'
import { isKnownTemplate } from './templates/render.ts'

/** What a waiting mail keeps that nobody may read in the database. */
export type SecretPart = { readonly to: string; readonly content: MailContent }

const purpose = 'mail'

const secretPart = z.object({
  to: z.string(),
  // Only we can have sealed it; but a newer version of us may know more templates.
  content: z.custom<MailContent>(isContent),
})

export function sealMail(seal: Seal, part: SecretPart): string {
  return seal.close(purpose, JSON.stringify(part))
}

/** @throws AppError platform.misconfigured when another key sealed it; ZodError: see above. */
export function openSealedMail(seal: Seal, sealed: string): SecretPart {
  return secretPart.parse(JSON.parse(seal.open(purpose, sealed)))
}

function isContent(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('template' in value)) return false
  return typeof value.template === 'string' && isKnownTemplate(value.template)
}
