import { describe, expect, test } from 'vitest'
import type { MailContent } from '../../../src/api/mail/mailer.ts'
import { isKnownTemplate, renderMail } from '../../../src/api/mail/templates/render.ts'
import { languages } from '../../../src/shared/wire/text.ts'

const name = '<script>alert("Mina & co")</script>'
const department = "O'Brien <b>"
const expiring = [
  { credits: '2.5', time: '2026-11-24 09:00 UTC' },
  { credits: '100', time: '2026-11-30 00:00 UTC' },
]
/** One of each; the type below asks for those that are missing. */
const contents: { readonly [Content in MailContent as Content['template']]: Content } = {
  SignUpCode: { template: 'SignUpCode', code: '049213', minutes: 10 },
  AccountExists: { template: 'AccountExists' },
  PasswordResetCode: { template: 'PasswordResetCode', code: '730551', minutes: 1 },
  NoAccount: { template: 'NoAccount' },
  EmailChangeCode: { template: 'EmailChangeCode', code: '118204', minutes: 15 },
  EmailChanged: { template: 'EmailChanged' },
  PasswordChanged: { template: 'PasswordChanged' },
  Approved: { template: 'Approved', name, department },
  Rejected: { template: 'Rejected', name, department },
  GuestWaits: { template: 'GuestWaits', name, department },
  Invited: { template: 'Invited', token: 'in_a&b_x/y', department, days: 7 },
  SessionReuse: { template: 'SessionReuse' },
  IdentityLinked: { template: 'IdentityLinked', issuer: 'https://id.example/<realm>' },
  BudgetUsed: { template: 'BudgetUsed', department, percent: '80', month: '2026-11' },
  CreditsExpire: { template: 'CreditsExpire', department, lots: expiring },
  DepartmentCreditsExpire: { template: 'DepartmentCreditsExpire', department, lots: expiring },
}
const publicUrl = 'https://atelier.example'
const cases = Object.values(contents).flatMap((content) =>
  languages.map((language) => ({ content, language, name: `${content.template} in ${language}` })),
)
const hangul = /\p{Script=Hangul}/u

describe.each(cases)('$name', ({ content, language }) => {
  const { subject, text, html } = renderMail(content, { language, publicUrl })
  const values = Object.entries(content)
    .filter(([key]) => key !== 'template')
    .flatMap(([, value]) => textsOf(value))

  test('has a subject, a text and a page, complete and in its language', () => {
    for (const part of [subject, text, html]) {
      expect(part.trim()).not.toBe('')
      expect(part).not.toMatch(/undefined|null|\[object|NaN|\$\{|\{\{|%s/)
      expect(hangul.test(part)).toBe(language === 'ko')
    }
    expect(html).toContain(`<html lang="${language}">`)
  })

  test('has a constant subject of one line', () => {
    expect(subject).not.toMatch(/[\r\n]/)
    expect(subject.length).toBeLessThanOrEqual(70)
    for (const value of values) expect(subject).not.toContain(value)
  })

  test('tells every value in the text and, escaped, in the page', () => {
    for (const value of values) {
      expect(text).toContain(value)
      expect(visible(html)).toContain(value)
    }
  })

  test('says the same in both forms', () => {
    expect(lettersOf(visible(html))).toBe(lettersOf(text))
  })

  test('has no element but its own, and fetches nothing', () => {
    expect(html).not.toMatch(/<(script|img|link|style|iframe|b>)|src=|url\(|@import/i)
    for (const [, address = ''] of html.matchAll(/href="([^"]*)"/g)) {
      expect(address.startsWith(publicUrl)).toBe(true)
    }
  })
})

test('an invitation links to the console with its token', () => {
  const { text } = renderMail(contents.Invited, { language: 'en', publicUrl })
  expect(text).toContain('https://atelier.example/#/invitations/in_a%26b_x%2Fy')
})

test.each(['constructor', 'toString', 'Later', ''])('%j is no template', (template) => {
  expect(isKnownTemplate(template)).toBe(false)
})

/** Every value on its own, also those of a list. */
function textsOf(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [String(value)]
  return Object.values(value).flatMap(textsOf)
}

const lettersOf = (form: string): string => form.replace(/[\s:]+|-- /g, '')

/** What a reader of the page sees, without the title. */
function visible(html: string): string {
  return html
    .slice(html.indexOf('<body'))
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
}
