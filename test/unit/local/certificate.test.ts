import { randomBytes, X509Certificate } from 'node:crypto'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { integer, objectId } from '../../../src/local/pki/der.ts'
import { type Issue, issueCertificate, newAuthority } from '../../../src/local/pki/certificate.ts'

const nowMs = Date.now()
const issue = (): Issue => ({ nowMs, validDays: 30, serial: randomBytes(16) })
const authority = newAuthority({ commonName: 'test authority' }, issue())
const parsedAuthority = new X509Certificate(authority.certificatePem)

describe('an authority', () => {
  test('may sign certificates and signs itself', () => {
    expect(parsedAuthority.ca).toBe(true)
    expect(parsedAuthority.verify(parsedAuthority.publicKey)).toBe(true)
  })
})

describe('a certificate', () => {
  const made = issueCertificate(
    authority,
    {
      subject: { commonName: 'somebody', organization: 'some group' },
      use: 'Server',
      dnsNames: ['localhost'],
      addresses: ['127.0.0.1'],
    },
    issue(),
  )
  const parsed = new X509Certificate(made.certificatePem)

  test('carries the name and the group that Kubernetes reads', () => {
    expect(parsed.subject).toBe('O=some group\nCN=somebody')
  })

  test('is signed by its authority and by no other', () => {
    const other = new X509Certificate(newAuthority({ commonName: 'x' }, issue()).certificatePem)
    expect(parsed.checkIssued(parsedAuthority)).toBe(true)
    expect(parsed.verify(parsedAuthority.publicKey)).toBe(true)
    expect(parsed.verify(other.publicKey)).toBe(false)
  })

  test('is no authority itself', () => {
    expect(parsed.ca).toBe(false)
  })

  test('is valid from an hour ago for the days asked for', () => {
    expect(Date.parse(parsed.validFrom)).toBeLessThanOrEqual(nowMs - 3_599_000)
    expect(Date.parse(parsed.validTo) - nowMs).toBeGreaterThan(29.9 * 86_400_000)
    expect(Date.parse(parsed.validTo) - nowMs).toBeLessThan(30.1 * 86_400_000)
  })

  test('opens a TLS connection whose peers know each other', async () => {
    const client = issueCertificate(
      authority,
      { subject: { commonName: 'client' }, use: 'Client' },
      issue(),
    )
    const server = createServer({
      cert: made.certificatePem,
      key: made.keyPem,
      ca: authority.certificatePem,
      requestCert: true,
      rejectUnauthorized: true,
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const accepted = once(server, 'secureConnection')
    const socket = connect({
      port,
      host: '127.0.0.1',
      ca: authority.certificatePem,
      cert: client.certificatePem,
      key: client.keyPem,
    })
    const [peer]: readonly TLSSocket[] = await accepted
    expect(peer?.getPeerCertificate().subject.CN).toBe('client')
    socket.destroy()
    server.close()
  })
})

describe('DER', () => {
  test.each([
    ['0', [], [2, 1, 0]],
    ['a small number', [1], [2, 1, 1]],
    ['a first bit of 1 gets a zero before it', [0x80], [2, 2, 0, 0x80]],
    ['needless zeros are left out', [0, 0, 5], [2, 1, 5]],
  ])('writes integers in the shortest form: %s', (_, bytes, expected) => {
    expect([...integer(Buffer.from(bytes))]).toEqual(expected)
  })

  test('writes object identifiers in base 128', () => {
    expect(objectId('1.2.840.10045.4.3.2').toString('hex')).toBe('06082a8648ce3d040302')
  })
})
