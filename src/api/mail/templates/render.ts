import type { Language } from '../../../shared/wire/text.ts'
import type { MailContent } from '../mailer.ts'
import { english } from './en.ts'
import { korean } from './ko.ts'
import { type Block, type Links, type Wording, wordingOf, type Words } from './wording.ts'

export type RenderedMail = {
  readonly subject: string
  readonly text: string
  readonly html: string
}

export type RenderOptions = {
  readonly language: Language
  /** Base of links, no trailing slash. */
  readonly publicUrl: string
}

const words: Readonly<Record<Language, Words>> = { ko: korean, en: english }

/** False for a mail of a newer replica, which that replica can send. */
export function isKnownTemplate(template: string): boolean {
  return Object.hasOwn(english, template)
}

/** The mail as text and as HTML, both of the same blocks, so that they cannot differ. */
export function renderMail(content: MailContent, options: RenderOptions): RenderedMail {
  const wording = wordingOf(words[options.language], content, linksOf(options.publicUrl))
  return {
    subject: wording.subject,
    text: `${wording.blocks.map(textOf).join('\n\n')}\n\n-- \nAtelier\n`,
    html: htmlPage(wording, options.language),
  }
}

function linksOf(publicUrl: string): Links {
  return {
    home: publicUrl,
    // Behind the hash, so that the token is in no log of a server or proxy.
    invitation: (token) => `${publicUrl}/#/invitations/${encodeURIComponent(token)}`,
  }
}

function textOf(block: Block): string {
  if (typeof block === 'string') return block
  if ('code' in block) return `    ${block.code}`
  if ('token' in block) return block.token
  return `${block.label}:\n${block.link}`
}

const styles = {
  body: [
    'margin:0;padding:24px;color:#1f2328;background:#ffffff',
    'font-family:sans-serif;font-size:16px;line-height:1.6',
  ].join(';'),
  code: 'font-family:monospace;font-size:28px;letter-spacing:4px',
  token: 'font-family:monospace;font-size:14px;word-break:break-all',
  link: 'color:#0b57d0',
  foot: 'color:#57606a;font-size:13px',
} as const

/** Inline styles only and nothing from elsewhere: many mail programs drop or block the rest. */
function htmlPage({ subject, blocks }: Wording, language: Language): string {
  return [
    '<!doctype html>',
    `<html lang="${language}">`,
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeHtml(subject)}</title>`,
    '</head>',
    `<body style="${styles.body}">`,
    ...blocks.map((block) => `<p>${htmlOf(block)}</p>`),
    `<p style="${styles.foot}">Atelier</p>`,
    '</body>',
    '</html>',
    '',
  ].join('\n')
}

function htmlOf(block: Block): string {
  if (typeof block === 'string') return escapeHtml(block)
  if ('code' in block) return `<strong style="${styles.code}">${escapeHtml(block.code)}</strong>`
  if ('token' in block) return `<code style="${styles.token}">${escapeHtml(block.token)}</code>`
  const address = escapeHtml(block.link)
  const label = escapeHtml(block.label)
  const shown = `<span style="${styles.token}">${address}</span>`
  return `<a href="${address}" style="${styles.link}">${label}</a><br>${shown}`
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => entities[sign] ?? sign)
}
