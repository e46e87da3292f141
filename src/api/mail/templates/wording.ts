import type { MailContent } from '../mailer.ts'

/** A paragraph, six digits to type, a long secret to copy, or an address to open. */
export type Block =
  | string
  | { readonly code: string }
  | { readonly token: string }
  | { readonly link: string; readonly label: string }

/** What a mail says. Subjects are constant: phones show them on locked screens. */
export type Wording = { readonly subject: string; readonly blocks: readonly Block[] }

type Contents = { readonly [Content in MailContent as Content['template']]: Content }

/** Addresses that mails point to. */
export type Links = { readonly home: string; readonly invitation: (token: string) => string }

/** All mails in one language. */
export type Words = {
  readonly [Name in keyof Contents]: (content: Contents[Name], links: Links) => Wording
}

export function wordingOf<Name extends keyof Contents>(
  words: Words,
  content: Contents[Name] & { readonly template: Name },
  links: Links,
): Wording {
  return words[content.template](content, links)
}
