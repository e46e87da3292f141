import { spawnSync } from 'node:child_process'
import { KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type TLSSocket } from 'node:tls'
import 'reflect-metadata'
import * as library from '@peculiar/x509'
import { afterAll, describe, expect, test } from 'vitest'
import {
  type CertificateKey,
  type CertificateRequest,
  type Issue,
  issueCertificate,
  newAuthority,
} from '../../../src/local/certificates.ts'
import { makeIdentities } from '../../../src/local/components/kubernetes-identities.ts'

const nowMs = Date.now()
const issue = (): Issue => ({ nowMs, validDays: 30, serial: randomBytes(16) })
const authority = await newAuthority({ commonName: 'test authority' }, issue())
const parsedAuthority = new X509Certificate(authority.certificatePem)
const serverRequest = {
  subject: { commonName: 'somebody', organization: 'some group' },
  use: 'Server',
  dnsNames: ['localhost'],
  addresses: ['127.0.0.1'],
} satisfies CertificateRequest
const server = await issueCertificate(authority, serverRequest, issue())
const client = await issueCertificate(
  authority,
  { subject: { commonName: 'client' }, use: 'Client' },
  issue(),
)
const folder = mkdtempSync(join(tmpdir(), 'atelier-certificates-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('an authority', () => {
  test('may sign certificates and signs itself', () => {
    expect(parsedAuthority.ca).toBe(true)
    expect(parsedAuthority.verify(parsedAuthority.publicKey)).toBe(true)
  })
})

describe('a certificate', () => {
  const parsed = new X509Certificate(server.certificatePem)

  test('carries the name and the group that Kubernetes reads', () => {
    expect(parsed.subject).toBe('O=some group\nCN=somebody')
  })

  test('carries the host names and addresses asked for', () => {
    expect(parsed.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1')
    expect(new X509Certificate(client.certificatePem).subjectAltName).toBeUndefined()
  })

  test('is signed by its authority and by no other', async () => {
    const other = await newAuthority({ commonName: 'x' }, issue())
    expect(parsed.checkIssued(parsedAuthority)).toBe(true)
    expect(parsed.verify(parsedAuthority.publicKey)).toBe(true)
    expect(parsed.verify(new X509Certificate(other.certificatePem).publicKey)).toBe(false)
  })

  test('is no authority itself', () => {
    expect(parsed.ca).toBe(false)
  })

  test('is valid from an hour ago for the days asked for', () => {
    expect(Date.parse(parsed.validFrom)).toBeLessThanOrEqual(nowMs - 3_599_000)
    expect(Date.parse(parsed.validTo) - nowMs).toBeGreaterThan(29.9 * 86_400_000)
    expect(Date.parse(parsed.validTo) - nowMs).toBeLessThan(30.1 * 86_400_000)
  })

  test.each([
    ['a first bit of 1', 0xff],
    ['a first bit of 0', 0x01],
  ])('has the serial number given, as a positive number: %s', async (_, first) => {
    const serial = Buffer.alloc(16, 7).fill(first, 0, 1)
    const made = await issueCertificate(authority, serverRequest, { ...issue(), serial })
    const { serialNumber } = new X509Certificate(made.certificatePem)
    expect(serialNumber.toLowerCase()).toBe(serial.toString('hex'))
  })

  test('opens a TLS connection whose peers know each other', async () => {
    const listener = createServer({
      cert: server.certificatePem,
      key: server.keyPem,
      ca: authority.certificatePem,
      requestCert: true,
      rejectUnauthorized: true,
    })
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const address = listener.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const accepted = once(listener, 'secureConnection')
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
    listener.close()
  })
})

describe('an authority of an earlier start, with its own kind of name and key id', () => {
  test('stays the issuer', async () => {
    const kept = await newKeptAuthority()
    const made = await issueCertificate(kept, serverRequest, issue())
    const parsed = new X509Certificate(made.certificatePem)
    expect(parsed.checkIssued(new X509Certificate(kept.certificatePem))).toBe(true)
    // Go looks for the issuer by the bytes of its name.
    const issuer = new library.X509Certificate(made.certificatePem).issuerName
    const subject = new library.X509Certificate(kept.certificatePem).subjectName
    expect(Buffer.from(issuer.toArrayBuffer())).toEqual(Buffer.from(subject.toArrayBuffer()))
  })
})

async function newKeptAuthority(): Promise<CertificateKey> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const name = new library.Name([{ CN: [{ utf8String: 'kept' }] }])
  const certificate = await library.X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    extensions: [
      new library.BasicConstraintsExtension(true, undefined, true),
      new library.SubjectKeyIdentifierExtension('00112233445566778899aabbccddeeff00112233'),
    ],
  })
  const keyPem = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' })
  return { certificatePem: certificate.toString('pem'), keyPem: keyPem.toString() }
}

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

describe.skipIf(!hasOpenssl)('openssl with -x509_strict', () => {
  const authorityFile = write('authority.crt', authority.certificatePem)
  const verdict = (file: string, purpose: string): number | null => {
    const options = ['-x509_strict', '-CAfile', authorityFile, '-purpose', purpose]
    return spawnSync('openssl', ['verify', ...options, file]).status
  }

  test('accepts a certificate for its use and for no other', () => {
    const serverFile = write('server.crt', server.certificatePem)
    const clientFile = write('client.crt', client.certificatePem)
    expect(verdict(serverFile, 'sslserver')).toBe(0)
    expect(verdict(serverFile, 'sslclient')).not.toBe(0)
    expect(verdict(clientFile, 'sslclient')).toBe(0)
    expect(verdict(clientFile, 'sslserver')).not.toBe(0)
  })
})

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

function makeAll(): ReturnType<typeof makeIdentities> {
  const clock = { nowMs: () => nowMs }
  return makeIdentities(join(folder, 'identities'), { server: 'https://127.0.0.1:1', clock })
}

describe('the identities of a control plane', () => {
  test('keep their authorities and service-account key, and renew the certificates', async () => {
    const first = await makeAll()
    const read = (): readonly string[] =>
      [
        first.authority,
        first.etcdAuthority,
        first.serviceAccountKey,
        first.apiServer.certificate,
        first.etcd.certificate,
        first.kubeconfigs.admin,
      ].map((path) => readFileSync(path, 'utf8'))
    const before = read()
    await makeAll()
    const after = read()
    expect(after.slice(0, 3)).toEqual(before.slice(0, 3))
    expect(after.slice(3).filter((text) => before.includes(text))).toEqual([])
    const [kubernetes = '', , , apiServer = ''] = after
    const parsed = new X509Certificate(apiServer)
    expect(parsed.checkIssued(new X509Certificate(kubernetes))).toBe(true)
  })
})
