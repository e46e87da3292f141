import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { callbackify, promisify } from 'node:util'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import { type CaughtMail, readMail } from '../../src/local/components/mail-catcher.ts'

/** A real SMTP server that refuses what a test wants it to refuse. */
export type MailServer = {
  readonly url: string
  readonly mails: readonly CaughtMail[]
  /** Answers to RCPT so far, accepted or not. */
  readonly attempts: () => number
  /** Code for an address, quoted back with it; null takes the mail. Replaces the rule before. */
  readonly answer: (rule: Rule) => void
  /** Called after a mail has been taken and before the server says so. */
  readonly beforeYes: (work: () => Promise<void>) => void
  readonly goDown: () => Promise<void>
  readonly comeBack: () => Promise<void>
}

type Rule = (address: string) => number | null
const takeAll: Rule = () => null
const nothing = async (): Promise<void> => undefined

export async function startMailServer(): Promise<MailServer> {
  const mails: CaughtMail[] = []
  let attempts = 0
  let rule: Rule = takeAll
  let work: () => Promise<void> = nothing
  const take = async (stream: SMTPServerDataStream, session: SMTPServerSession) => {
    const bytes = await buffer(stream)
    for (const { address } of session.envelope.rcptTo) mails.push(await readMail(bytes, address))
    await work()
  }
  const open = async (port: number): Promise<SMTPServer> => {
    const server = new SMTPServer({
      disabledCommands: ['AUTH', 'STARTTLS'],
      disableReverseLookup: true,
      closeTimeout: 100,
      onRcptTo: ({ address }, _, done) => {
        attempts += 1
        const code = rule(address)
        done(code === null ? null : refusal(code, address))
      },
      onData: (stream, session, done) => callbackify(take)(stream, session, (error) => done(error)),
    })
    server.on('error', () => undefined)
    server.listen(port, '127.0.0.1')
    await once(server.server, 'listening')
    return server
  }
  let server = await open(0)
  const address = server.server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    attempts: () => attempts,
    answer: (next) => {
      rule = next
    },
    beforeYes: (next) => {
      work = next
    },
    goDown: async () => await promisify(server.close.bind(server))(),
    comeBack: async () => {
      server = await open(port)
    },
  }
}

function refusal(responseCode: number, address: string): Error {
  return Object.assign(new Error(`<${address}> is not wanted here`), { responseCode })
}
