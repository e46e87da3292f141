import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { promisify } from 'node:util'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterEach, describe, expect, test } from 'vitest'
import { type Issue, issueCertificate, newAuthority } from '../../../../src/local/certificates.ts'
import { type MailTransport, openMailTransport } from '../../../../src/platform/mail/transport.ts'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

const issue = (): Issue => ({ nowMs: Date.now(), validDays: 1, serial: randomBytes(16) })
const authority = await newAuthority({ commonName: 'mail test authority' }, issue())
const { certificatePem: cert, keyPem: key } = await issueCertificate(
  authority,
  { subject: { commonName: 'mail' }, use: 'Server', addresses: ['127.0.0.1'] },
  issue(),
)
const certificate = { cert, key }

async function startServer(options: SMTPServerOptions = {}): Promise<number> {
  const server = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    closeTimeout: 100,
    onData: (stream, _, done) => stream.resume().on('end', () => done()),
    ...options,
  })
  server.on('error', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  cleanUps.push(promisify(server.close.bind(server)))
  const address = server.server.address()
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}

function open(url: string): MailTransport {
  const transport = openMailTransport(url)
  cleanUps.unshift(transport.close)
  return transport
}

const letter = {
  messageId: '<1@atelier.example>',
  from: 'Atelier <atelier@atelier.example>',
  to: 'ada@mail.example',
  subject: 'Code',
  text: '123456',
  html: '<p>123456</p>',
  headers: {},
  date: new Date(0),
}
const plain = { disabledCommands: ['AUTH', 'STARTTLS'] }
const refuse = (responseCode: number) => Object.assign(new Error('no'), { responseCode })

describe('what a server says', () => {
  const sayAt = {
    sender: (code: number): SMTPServerOptions => ({
      onMailFrom: (_, __, done) => done(refuse(code)),
    }),
    receiver: (code: number): SMTPServerOptions => ({
      onRcptTo: (_, __, done) => done(refuse(code)),
    }),
    content: (code: number): SMTPServerOptions => ({
      onData: (stream, _, done) => stream.resume().on('end', () => done(refuse(code))),
    }),
    connection: (code: number): SMTPServerOptions => ({
      onConnect: (_, done) => done(refuse(code)),
    }),
  }
  test.each([
    ['receiver', 550, 'Refused'],
    ['receiver', 553, 'Refused'],
    ['receiver', 450, 'Postponed'],
    ['receiver', 530, 'Postponed'],
    ['receiver', 503, 'Postponed'],
    ['content', 554, 'Refused'],
    ['content', 452, 'Postponed'],
    ['sender', 550, 'Postponed'],
    ['connection', 554, 'Postponed'],
    ['connection', 421, 'Postponed'],
  ] as const)('to the %s, %i, means %s', async (stage, code, kind) => {
    const port = await startServer({ ...plain, ...sayAt[stage](code) })
    const outcome = await open(`smtp://127.0.0.1:${port}`).send(letter)
    expect(outcome).toEqual({ kind, code: String(code) })
  })

  test('nothing at all, as nobody listens, means to try again', async () => {
    const outcome = await open('smtp://127.0.0.1:9').send(letter)
    expect(outcome).toEqual({ kind: 'Postponed', code: 'ESOCKET' })
  })

  test('in any outcome is not handed on, as it quotes the address', async () => {
    const port = await startServer({ ...plain, ...sayAt.receiver(550) })
    const outcome = await open(`smtp://127.0.0.1:${port}`).send(letter)
    expect(JSON.stringify(outcome)).not.toMatch(/ada|example/)
  })
})

const urlsOf = async (): Promise<readonly string[]> => [
  `smtps://127.0.0.1:${await startServer({ ...certificate, secure: true })}`,
  `smtp://127.0.0.1:${await startServer(certificate)}`,
  `smtp://127.0.0.1:${await startServer(certificate)}/?ignoreTLS=true&tls.rejectUnauthorized=false`,
]

describe('encryption', () => {
  test('with a certificate that nobody trusts is refused, whatever the address says', async () => {
    for (const url of await urlsOf()) {
      expect(await open(url).send(letter)).toMatchObject({ kind: 'Postponed' })
    }
  })

  test('with a certificate that the machine trusts is used', async () => {
    const trusted = getCACertificates()
    setDefaultCACertificates([...trusted, authority.certificatePem])
    cleanUps.push(() => setDefaultCACertificates(trusted))
    for (const url of await urlsOf()) {
      expect(await open(url).send(letter)).toEqual({ kind: 'Sent' })
    }
  })
})

describe('credentials', () => {
  const seen: string[] = []
  const signIn: SMTPServerOptions = {
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    authOptional: false,
    onAuth: ({ username = '', password }, _, done) => {
      seen.push(`${username}/${password}`)
      if (password === 'p@ss:word') done(null, { user: username })
      else done(refuse(535))
    },
  }

  test('of the address are decoded and used', async () => {
    const port = await startServer(signIn)
    const transport = open(`smtp://mailer%40a:p%40ss%3Aword@127.0.0.1:${port}`)
    expect(await transport.send(letter)).toEqual({ kind: 'Sent' })
    expect(seen).toContain('mailer@a/p@ss:word')
  })

  test('that are wrong hold mails back: it is our fault, not the mail’s', async () => {
    const port = await startServer(signIn)
    const outcome = await open(`smtp://mailer:wrong@127.0.0.1:${port}`).send(letter)
    expect(outcome).toEqual({ kind: 'Postponed', code: '535' })
  })

  test('are not sent in clear to another machine', async () => {
    seen.length = 0
    const port = await startServer(signIn)
    // Another name of this machine, which does not look like one of it.
    const outcome = await open(`smtp://mailer:p%40ss%3Aword@[::ffff:127.0.0.1]:${port}`).send(
      letter,
    )
    expect(outcome).toMatchObject({ kind: 'Postponed' })
    expect(seen).toEqual([])
  })
})

test('one connection serves several mails, and an address is one address', async () => {
  const receivers: string[] = []
  let connections = 0
  const port = await startServer({
    ...plain,
    onConnect: (_, done) => {
      connections += 1
      done()
    },
    onRcptTo: ({ address }, _, done) => {
      receivers.push(address)
      done()
    },
  })
  const transport = open(`smtp://127.0.0.1:${port}`)
  await transport.send(letter)
  await transport.send({ ...letter, to: 'bo@mail.example' })
  await transport.send({ ...letter, to: 'eve@mail.example, cy@mail.example' })
  expect(receivers.slice(0, 2)).toEqual(['ada@mail.example', 'bo@mail.example'])
  expect(receivers).not.toContain('cy@mail.example')
  expect(connections).toBe(1)
})
