import { createPrivateKey, KeyObject, type webcrypto } from 'node:crypto'
// The library's dependency container looks for this polyfill when it is imported.
import 'reflect-metadata'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { assert } from '../shared/assert.ts'

/** X.509 version 3 certificates over P-256 keys (RFC 5280). */
export type Subject = { readonly commonName: string; readonly organization?: string }
export type CertificateKey = { readonly certificatePem: string; readonly keyPem: string }

export type CertificateRequest = {
  readonly subject: Subject
  readonly use: 'Client' | 'Server'
  readonly dnsNames?: readonly string[]
  readonly addresses?: readonly string[]
}

/** `serial`: 16 random bytes. Certificates are valid from one hour ago. */
export type Issue = {
  readonly nowMs: number
  readonly validDays: number
  readonly serial: Uint8Array
}

const hourMs = 3_600_000
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const

export async function newAuthority(subject: Subject, issue: Issue): Promise<CertificateKey> {
  const keys = await newKeys()
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...termsOf(issue),
    name: nameOf(subject),
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificatePem: pemOf(certificate), keyPem: keyPemOf(keys) }
}

export async function issueCertificate(
  authority: CertificateKey,
  request: CertificateRequest,
  issue: Issue,
): Promise<CertificateKey> {
  const keys = await newKeys()
  const parent = new X509Certificate(authority.certificatePem)
  const certificate = await X509CertificateGenerator.create({
    ...termsOf(issue),
    subject: nameOf(request.subject),
    // Go compares these names byte by byte, so an authority of an older start stays the issuer.
    issuer: parent.subjectName,
    publicKey: keys.publicKey,
    signingKey: createPrivateKey(authority.keyPem).toCryptoKey(algorithm, false, ['sign']),
    extensions: extensionsOf(request, parent),
  })
  return { certificatePem: pemOf(certificate), keyPem: keyPemOf(keys) }
}

function extensionsOf(request: CertificateRequest, parent: X509Certificate): Extension[] {
  const purpose =
    request.use === 'Server' ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth
  const parentKey = parent.getExtension(SubjectKeyIdentifierExtension)
  assert(parentKey !== null, 'an authority names its key')
  return [
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([purpose]),
    // Read, not computed: OpenSSL refuses an issuer whose own identifier differs.
    new AuthorityKeyIdentifierExtension(parentKey.keyId),
    ...alternativeNames(request),
  ]
}

function alternativeNames({ dnsNames = [], addresses = [] }: CertificateRequest): Extension[] {
  if (dnsNames.length + addresses.length === 0) return []
  return [
    new SubjectAlternativeNameExtension([
      ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
      ...addresses.map((value) => ({ type: 'ip' as const, value })),
    ]),
  ]
}

function termsOf({ nowMs, validDays, serial }: Issue) {
  return {
    serialNumber: Buffer.from(serial).toString('hex'),
    notBefore: new Date(nowMs - hourMs),
    notAfter: new Date(nowMs + validDays * 24 * hourMs),
  }
}

function nameOf({ commonName, organization }: Subject): JsonName {
  const first = organization === undefined ? [] : [{ O: [organization] }]
  return [...first, { CN: [commonName] }]
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`
}

function keyPemOf(keys: webcrypto.CryptoKeyPair): string {
  return KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()
}
