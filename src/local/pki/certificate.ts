import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
} from 'node:crypto'
import * as der from './der.ts'

/** X.509 version 3 certificates over P-256 keys (RFC 5280): node:crypto signs but cannot write. */
export type Subject = { readonly commonName: string; readonly organization?: string }
export type CertificateKey = { readonly certificatePem: string; readonly keyPem: string }
export type Authority = CertificateKey & { readonly subject: Subject }

export type CertificateRequest = {
  readonly subject: Subject
  readonly use: 'Client' | 'Server'
  readonly dnsNames?: readonly string[]
  /** IPv4. */
  readonly addresses?: readonly string[]
}

/** `serial`: 16 random bytes. Certificates are valid from one hour ago. */
export type Issue = {
  readonly nowMs: number
  readonly validDays: number
  readonly serial: Uint8Array
}

const ids = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

const hourMs = 3_600_000

export function newAuthority(subject: Subject, issue: Issue): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const extensions = [
    extension(ids.basicConstraints, der.sequence(der.yes()), { critical: true }),
    // keyCertSign and cRLSign: bits 5 and 6.
    extension(ids.keyUsage, der.bitString(Buffer.from([0x06]), 1), { critical: true }),
    extension(ids.subjectKeyId, der.octetString(keyIdOf(publicKey))),
  ]
  const body = { subject, issuer: subject, publicKey, extensions, issue }
  return { ...signed(body, privateKey), keyPem: pemOf(privateKey), subject }
}

export function issueCertificate(
  authority: Authority,
  request: CertificateRequest,
  issue: Issue,
): CertificateKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const purpose = request.use === 'Server' ? ids.serverAuth : ids.clientAuth
  const authorityKey = createPrivateKey(authority.keyPem)
  const authorityId = der.context(0, keyIdOf(createPublicKey(authorityKey)), {
    constructed: false,
  })
  const extensions = [
    // digitalSignature: bit 0.
    extension(ids.keyUsage, der.bitString(Buffer.from([0x80]), 7), { critical: true }),
    extension(ids.extendedKeyUsage, der.sequence(der.objectId(purpose))),
    extension(ids.authorityKeyId, der.sequence(authorityId)),
    ...alternativeNames(request),
  ]
  const body = {
    subject: request.subject,
    issuer: authority.subject,
    publicKey,
    extensions,
    issue,
  }
  return { ...signed(body, authorityKey), keyPem: pemOf(privateKey) }
}

type Body = {
  readonly subject: Subject
  readonly issuer: Subject
  readonly publicKey: KeyObject
  readonly extensions: readonly Buffer[]
  readonly issue: Issue
}

function signed(body: Body, key: KeyObject): { readonly certificatePem: string } {
  const algorithm = der.sequence(der.objectId(ids.ecdsaWithSha256))
  const { nowMs, validDays, serial } = body.issue
  const version3 = der.context(0, der.integer(Buffer.from([2])), { constructed: true })
  const validity = der.sequence(
    der.generalizedTime(nowMs - hourMs),
    der.generalizedTime(nowMs + validDays * 24 * hourMs),
  )
  const content = der.sequence(
    version3,
    der.integer(serial),
    algorithm,
    nameOf(body.issuer),
    validity,
    nameOf(body.subject),
    body.publicKey.export({ type: 'spki', format: 'der' }),
    der.context(3, der.sequence(...body.extensions), { constructed: true }),
  )
  const certificate = der.sequence(content, algorithm, der.bitString(sign('sha256', content, key)))
  const lines = certificate.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n')
  return { certificatePem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n` }
}

function nameOf({ commonName, organization }: Subject): Buffer {
  const first = organization === undefined ? [] : [namePart(ids.organization, organization)]
  return der.sequence(...first, namePart(ids.commonName, commonName))
}

function namePart(id: string, text: string): Buffer {
  return der.setOf(der.sequence(der.objectId(id), der.utf8String(text)))
}

function alternativeNames(request: CertificateRequest): readonly Buffer[] {
  const { dnsNames = [], addresses = [] } = request
  if (dnsNames.length + addresses.length === 0) return []
  const names = [
    ...dnsNames.map((name) => der.context(2, Buffer.from(name), { constructed: false })),
    ...addresses.map((address) =>
      der.context(7, Buffer.from(address.split('.').map(Number)), { constructed: false }),
    ),
  ]
  return [extension(ids.subjectAltName, der.sequence(...names))]
}

function extension(id: string, value: Buffer, options?: { readonly critical: boolean }): Buffer {
  const critical = options?.critical === true ? [der.yes()] : []
  return der.sequence(der.objectId(id), ...critical, der.octetString(value))
}

/** RFC 5280 4.2.1.2 leaves the method open: the first 20 bytes of the key's SHA-256. */
function keyIdOf(key: KeyObject): Buffer {
  const bytes = key.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(bytes).digest().subarray(0, 20)
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}
