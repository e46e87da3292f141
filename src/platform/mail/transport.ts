import { isIPv4 } from 'node:net'
import { createTransport, type NodemailerError, type SMTPPoolOptions } from 'nodemailer'

/** One mail to one address, ready to be sent. */
export type Letter = {
  /** With angle brackets. A mail that is sent twice is one mail when both have the same. */
  readonly messageId: string
  readonly from: string
  /** A bare address. */
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
  readonly headers: Readonly<Record<string, string>>
  readonly date: Date
}

/** `code` is the server's three digits or the fault's name; it never quotes the server. */
export type SendOutcome =
  | { readonly kind: 'Sent' }
  /** The server will never take this mail for this address. */
  | { readonly kind: 'Refused'; readonly code: string }
  /** No connection, a 4xx, or a fault of the whole server: worth another attempt. */
  | { readonly kind: 'Postponed'; readonly code: string }

export type MailTransport = {
  /** Takes `sendMsMax` at most. Throws nothing: every fault is an outcome. */
  readonly send: (letter: Letter) => Promise<SendOutcome>
  readonly close: () => void
}

/** After this time a mail is given up, however slowly the server goes on answering. */
export const sendMsMax = 45_000

/**
 * A pool of connections to the server of an `smtp://` or `smtps://` address, with its credentials.
 * Certificates are verified. Credentials go over TLS only, but to a server on this machine.
 */
export function openMailTransport(url: string): MailTransport {
  const pool = createTransport(poolOptions(new URL(url)))
  return {
    send: async ({ to, ...letter }) => {
      try {
        const signal = AbortSignal.timeout(sendMsMax)
        // As an object, so that nothing in an address is read as a list of addresses.
        await pool.sendMail({ ...letter, to: { name: '', address: to }, ...closed, signal })
        return { kind: 'Sent' }
      } catch (error) {
        // Without its message and cause, which quote the address and what the server said.
        return outcomeOf(error)
      }
    },
    close: () => pool.close(),
  }
}

/** Nothing in a mail may make us read a file or fetch an address. */
const closed = { disableFileAccess: true, disableUrlAccess: true } as const

function poolOptions(url: URL): SMTPPoolOptions & { readonly pool: true } {
  const secure = url.protocol === 'smtps:'
  const user = decodeURIComponent(url.username)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const auth = user === '' ? {} : { auth: { user, pass: decodeURIComponent(url.password) } }
  return {
    pool: true,
    host,
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    secure,
    requireTLS: user !== '' && !isLoopback(host),
    ...auth,
    maxConnections: 4,
    maxMessages: 100,
    // Sending again is up to the queue.
    maxRequeues: 0,
    dnsTimeout: 10_000,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 20_000,
    idleTimeout: 30_000,
    tls: { minVersion: 'TLSv1.2', rejectUnauthorized: true },
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

/** Replies of these commands are about one mail; all others are about us or the server. */
const aboutThisMail = new Set(['RCPT TO', 'DATA'])
/** Not about the mail, whatever is asked: wrong sequence, sign in first, wrong credentials. */
const aboutUs = new Set([503, 530, 534, 535, 538])

function outcomeOf(error: unknown): SendOutcome {
  const {
    responseCode,
    code = 'unknown',
    command = '',
  } = error instanceof Error ? facts(error) : {}
  if (responseCode === undefined) return { kind: 'Postponed', code }
  const forGood = responseCode >= 500 && responseCode < 600 && !aboutUs.has(responseCode)
  const kind = forGood && aboutThisMail.has(command) ? 'Refused' : 'Postponed'
  return { kind, code: String(responseCode) }
}

function facts(error: NodemailerError) {
  return { responseCode: error.responseCode, code: error.code, command: error.command }
}
