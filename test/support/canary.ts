import type { Page } from './remains.ts'

/**
 * What tests sign in with. Wherever it turns up again, a password was written down: harnesses look
 * for it before their database goes, and the run looks once more at its end.
 */
export const canaryPassword = 'the canary hums below nine wells'
/** For who changes theirs, or makes an account. */
export const otherCanaryPassword = 'another canary whistles past ten mills'
export const canaries: Secrets = { canaryPassword, otherCanaryPassword }

/** By name, so that a finding can be told without telling the secret. */
export type Secrets = Readonly<Record<string, string>>

/** Where a secret was found, and in which form. */
export type Finding = { readonly place: string; readonly secret: string; readonly form: string }

type Form = { readonly name: string; readonly isFolded: boolean; readonly texts: readonly string[] }

/** Every form in which a secret of eight characters or more could have been written down. */
export function formsOf(secret: string): readonly Form[] {
  const url = encodeURIComponent(secret).toLowerCase()
  const form = url.replaceAll('%20', '+')
  const json = JSON.stringify(secret).slice(1, -1)
  const hex = Buffer.from(secret).toString('hex')
  return [
    { name: 'clear', isFolded: false, texts: [secret, json, JSON.stringify(json).slice(1, -1)] },
    { name: 'base64', isFolded: false, texts: shifted(secret, 'base64') },
    { name: 'base64url', isFolded: false, texts: shifted(secret, 'base64url') },
    { name: 'hex', isFolded: true, texts: [hex] },
    { name: 'url', isFolded: true, texts: [url, form] },
  ]
}

/** Base64 of text in the middle of other text looks different for each of three beginnings. */
function shifted(secret: string, encoding: 'base64' | 'base64url'): readonly string[] {
  const bytes = Buffer.from(secret)
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString(encoding)
    const end = Math.floor(((before + bytes.length) * 8) / 6)
    return text.slice(Math.ceil((before * 8) / 6), end)
  })
}

export function findSecrets(pages: readonly Page[], secrets: Secrets): readonly Finding[] {
  const wanted = Object.entries(secrets).map(([name, secret]) => ({ name, forms: formsOf(secret) }))
  return pages.flatMap(({ place, text }) => {
    const folded = text.toLowerCase()
    const has = ({ isFolded, texts }: Form): boolean =>
      texts.some((one) => (isFolded ? folded : text).includes(one))
    return wanted.flatMap(({ name, forms }) =>
      forms.filter(has).map((form) => ({ place, secret: name, form: form.name })),
    )
  })
}

/** Throws when a canary was written down, saying where and never what. */
export function refuseCanaries(pages: readonly Page[]): void {
  const findings = findSecrets(pages, canaries)
  if (findings.length === 0) return
  const list = findings.map(({ place, secret, form }) => `${secret} (${form}) in ${place}`)
  throw new Error(`secrets were written down:\n${[...new Set(list)].join('\n')}`)
}
