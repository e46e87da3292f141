import { z } from 'zod'
import type { Page } from '../support/remains.ts'

export type Asking = {
  /** Text goes as it is, everything else as JSON. */
  readonly body?: unknown
  readonly token?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** With its question mark; apart, as it may hold a secret. */
  readonly query?: string
}
export type Answer = {
  readonly status: number
  readonly json: Readonly<Record<string, unknown>>
  readonly cookies: readonly string[]
}

/** Everything secret that one walk through the product met, and every answer that was a refusal. */
export type Notes = {
  readonly secrets: Readonly<Record<string, string>>
  readonly codes: readonly string[]
  readonly refusals: readonly Page[]
  /** Gives the secret back. */
  readonly keep: (name: string, secret: unknown) => string
  readonly keepCode: (code: string | null) => string
  /** `POST /v1/sessions`. */
  readonly ask: (line: string, asking?: Asking) => Promise<Answer>
  /** The same, and an error unless the status is this one. */
  readonly expect: (status: number, line: string, asking?: Asking) => Promise<Answer>
}

const timeoutMs = 30_000
const jsonObject = z.record(z.string(), z.unknown())

export function openNotes(apiUrl: string): Notes {
  const secrets: Record<string, string> = {}
  const codes: string[] = []
  const refusals: Page[] = []
  const ask: Notes['ask'] = async (line, asking = {}) => {
    const response = await send(apiUrl, line, asking)
    const text = await response.text()
    if (!response.ok) {
      const headers = JSON.stringify([...response.headers])
      refusals.push({ place: `the answer ${response.status} to ${line}`, text: headers + text })
    }
    const isJson = response.headers.get('content-type')?.includes('json') === true
    return {
      status: response.status,
      json: isJson ? jsonObject.parse(JSON.parse(text)) : {},
      cookies: response.headers.getSetCookie(),
    }
  }
  return {
    secrets,
    codes,
    refusals,
    keep: (name, secret) => {
      secrets[name] = z.string().min(8).parse(secret)
      return secrets[name]
    },
    keepCode: (code) => {
      codes.push(z.string().length(6).parse(code))
      return code ?? ''
    },
    ask,
    expect: async (status, line, asking) => {
      const answer = await ask(line, asking)
      if (answer.status === status) return answer
      throw new Error(`${line}: ${answer.status} ${JSON.stringify(answer.json)}`)
    },
  }
}

async function send(apiUrl: string, line: string, asking: Asking): Promise<Response> {
  const { body, token, headers = {}, query = '' } = asking
  const [method = 'GET', path = ''] = line.split(' ')
  return await fetch(new URL(path + query, apiUrl), {
    method,
    redirect: 'manual',
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(timeoutMs),
  })
}
