import { EventEmitter, once } from 'node:events'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { callbackify, promisify } from 'node:util'
import PostalMime from 'postal-mime'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import type { Clock } from '../../shared/clock.ts'

/** A mail that was sent here instead of to its receiver. */
export type CaughtMail = {
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
  readonly messageId: string
  /** The six digits it holds, if any. */
  readonly code: string | null
  /** Of the invitation it holds, if any. */
  readonly token: string | null
}

export type MailCatcher = {
  /** For ATELIER_SMTP_URL. */
  readonly url: string
  /** All since the start, oldest first, as many as are kept. */
  readonly mails: () => readonly CaughtMail[]
  /**
   * The newest mail to the address, waiting until there is one. Does not return a mail twice, so
   * after a second request for a code it waits for the second mail. Rejects after 30 seconds.
   */
  readonly mailTo: (address: string) => Promise<CaughtMail>
  readonly stop: () => Promise<void>
}

export type MailCatcherOptions = {
  /** 0: any that is free. */
  readonly port: number
  /** Each mail is written here as it came. */
  readonly folder: string
  readonly clock: Clock
  /** Told of each mail in one line, with its code or token. */
  readonly print: (line: string) => void
}

const host = '127.0.0.1'
const keptMax = 200
const mailBytesMax = 1024 * 1024
const waitMsMax = 30_000

/** Listens on loopback, takes every mail from there and sends none on. */
export async function startMailCatcher(options: MailCatcherOptions): Promise<MailCatcher> {
  const { folder, print } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const mails: CaughtMail[] = []
  const arrivals = new EventEmitter().setMaxListeners(0)
  const keep = createKeeper(options)
  const server = openServer(async (bytes, receivers) => {
    await keep(bytes)
    for (const to of receivers) {
      const mail = await readMail(bytes, to)
      mails.push(mail)
      if (mails.length > keptMax) mails.shift()
      print(lineOf(mail))
    }
    arrivals.emit('mail')
  })
  server.listen(options.port, host)
  await once(server.server, 'listening')
  const address = server.server.address()
  const port = typeof address === 'object' ? (address?.port ?? options.port) : options.port
  return {
    url: `smtp://${host}:${port}`,
    mails: () => [...mails],
    mailTo: createMailTo(mails, arrivals),
    stop: async () => await promisify(server.close.bind(server))(),
  }
}

export async function readMail(bytes: Buffer, to: string): Promise<CaughtMail> {
  const { subject = '', text = '', html = '', messageId = '' } = await PostalMime.parse(bytes)
  const code = /(?<![\w/])\d{6}(?!\w)/.exec(text)?.[0] ?? null
  const token = /#\/invitations\/(\S+)/.exec(text)?.[1]
  const decoded = token === undefined ? null : decodeURIComponent(token)
  return { to, subject, text, html, messageId, code, token: decoded }
}

function lineOf({ to, subject, code, token }: CaughtMail): string {
  return ['  ✉ ', [to, subject, code ?? token].filter((part) => part !== null).join(': ')].join('')
}

type Arrival = (bytes: Buffer, receivers: readonly string[]) => Promise<void>

function openServer(arrive: Arrival): SMTPServer {
  const server = new SMTPServer({
    // Nothing here is worth a certificate: it never leaves this machine.
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    size: mailBytesMax,
    rejectOversized: true,
    maxClients: 64,
    closeTimeout: 1000,
    onConnect: ({ remoteAddress }, done) =>
      done(isLoopback(remoteAddress) ? null : new Error('only for this machine')),
    onData: (stream, session, done) => {
      callbackify(take)(stream, session, arrive, (error) => done(error))
    },
  })
  // A client that goes away in the middle must not end the program.
  server.on('error', () => undefined)
  return server
}

async function take(stream: SMTPServerDataStream, session: SMTPServerSession, arrive: Arrival) {
  const bytes = await buffer(stream)
  if (stream.sizeExceeded) return
  const receivers = session.envelope.rcptTo.map(({ address }) => address)
  await arrive(bytes, receivers)
}

function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/, '')
  return plain === '::1' || (isIPv4(plain) && plain.startsWith('127.'))
}

/** Writes mails into the folder and removes the oldest. */
function createKeeper({ folder, clock }: MailCatcherOptions): (bytes: Buffer) => Promise<void> {
  let count = 0
  return async (bytes) => {
    count += 1
    const time = new Date(clock.nowMs()).toISOString().replaceAll(':', '-')
    const name = `${time}-${String(count).padStart(4, '0')}.eml`
    await writeFile(join(folder, name), bytes, { mode: 0o600 })
    const names = (await readdir(folder)).filter((one) => one.endsWith('.eml')).toSorted()
    for (const old of names.slice(0, -keptMax)) await rm(join(folder, old), { force: true })
  }
}

function createMailTo(mails: readonly CaughtMail[], arrivals: EventEmitter): MailCatcher['mailTo'] {
  const returned = new Set<CaughtMail>()
  return async (address) => {
    const signal = AbortSignal.timeout(waitMsMax)
    for (;;) {
      const ours = mails.filter(({ to }) => to.toLowerCase() === address.toLowerCase())
      const newest = ours.at(-1)
      if (newest !== undefined && !returned.has(newest)) {
        returned.add(newest)
        return newest
      }
      await once(arrivals, 'mail', { signal })
    }
  }
}
