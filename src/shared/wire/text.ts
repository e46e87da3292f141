import { z } from 'zod'

/** Control characters, half pairs, and the marks that turn the direction of text around. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u
/** The same, but line breaks and tabs pass. */
const UNPRINTABLE_IN_LINES = /[^\P{Cc}\n\t]|[\p{Cs}\u202a-\u202e\u2066-\u2069]/u
/** The same for the OpenAPI document: no Unicode classes, which not every language has. */
const LINE_PATTERN = '^[^\\x00-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]*$'
const LINES_PATTERN =
  '^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]*$'

const unprintable = { error: 'must not have control characters' } as const

type Bounds = { readonly min?: number; readonly max: number }

/** One line for people: NFC, trimmed, no control characters; counted after that. */
export function line({ min = 1, max }: Bounds) {
  return cleanLine({ min, max }, normalise)
}

/** Several lines for people: as `line`, but line breaks, which become `\n`, and tabs pass. */
export function lines({ min = 0, max }: Bounds) {
  return z
    .string()
    .max(max * 4)
    .transform((text) => normalise(text.replace(/\r\n?/g, '\n')))
    .pipe(
      z
        .string()
        .min(min)
        .max(max)
        .refine((text) => !UNPRINTABLE_IN_LINES.test(text), unprintable),
    )
    .meta({ minLength: min, maxLength: max, pattern: LINES_PATTERN })
}

/** An address as it was typed, trimmed and in NFC; compare `addressKey` of it. */
export const emailAddress = z
  .string()
  .max(1024)
  .transform(normalise)
  .pipe(z.email().max(254))
  .meta({ format: 'email', maxLength: 254 })

/** What two addresses are compared by: whoever owns `A@x.example` owns `a@x.example`. */
export function addressKey(email: string): string {
  return email.normalize('NFC').trim().toLowerCase()
}

export const passwordLength = { min: 10, max: 128 } as const

/** A new password: length only, no composition rules (ASVS 5.0, 6.2.1 and 6.2.5). In NFC. */
export const newPassword = cleanLine(passwordLength, compose)

/** What somebody types to prove who they are. */
export const givenPassword = cleanLine({ min: 1, max: passwordLength.max }, compose)

/** Six digits that came by mail. */
export const mailedCode = z
  .string()
  .length(6)
  .regex(/^[0-9]{6}$/, { error: 'must be six digits' })

/** A token or id that was made elsewhere: printable ASCII without blanks. */
export function opaque({ max }: Pick<Bounds, 'max'>) {
  return z
    .string()
    .min(1)
    .max(max)
    .regex(/^[\x21-\x7e]*$/, { error: 'must be printable ASCII' })
}

export const languages = ['ko', 'en'] as const
export const language = z.enum(languages)
export type Language = z.infer<typeof language>

function cleanLine({ min, max }: Required<Bounds>, clean: (text: string) => string) {
  return z
    .string()
    .max(max * 4)
    .transform(clean)
    .pipe(z.string().min(min).max(max).refine(isPrintable, unprintable))
    .meta({ minLength: min, maxLength: max, pattern: LINE_PATTERN })
}

function isPrintable(text: string): boolean {
  return !UNPRINTABLE.test(text)
}

function compose(text: string): string {
  return text.normalize('NFC')
}

function normalise(text: string): string {
  return compose(text).trim()
}
