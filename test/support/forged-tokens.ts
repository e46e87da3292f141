import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { exportJWK, type JWK, type JWTPayload, SignJWT } from 'jose'

type Header = Readonly<Record<string, unknown>>

/** What a forger of access tokens could get hold of, and the real thing to start from. */
export type Material = {
  /** Claims of a token that is accepted right now. */
  readonly claims: JWTPayload
  readonly keyId: string
  readonly publicJwk: JWK
  /** A key that signed once and has retired. */
  readonly retired: { readonly keyId: string; readonly secret: KeyObject }
  /** Signs with the real key: for tokens of ours that are no access tokens of now. */
  readonly sign: (claims: JWTPayload, header?: Header) => Promise<string>
}

export type Forgery = { readonly name: string; readonly token: string }

/** Tokens of which not one may be accepted. */
export async function forgeTokens(material: Material): Promise<readonly Forgery[]> {
  const groups = await Promise.all([
    unsigned(material),
    byPublicKey(material),
    byOtherKeys(material),
    withWrongClaims(material),
    withWrongHeaders(material),
    damaged(material),
  ])
  return groups.flat()
}

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')

async function unsigned({ claims, keyId }: Material): Promise<Forgery[]> {
  const header = { typ: 'at+jwt', kid: keyId }
  return ['none', 'None', 'NONE', ''].flatMap((alg) => {
    const text = `${encode({ ...header, alg })}.${encode(claims)}`
    return [
      { name: `alg ${JSON.stringify(alg)}`, token: `${text}.` },
      { name: `alg ${JSON.stringify(alg)} with a signature`, token: `${text}.AAAA` },
    ]
  })
}

/** The public key is public: as the secret of an HMAC it proves nothing. */
async function byPublicKey(material: Material): Promise<Forgery[]> {
  const { publicJwk } = material
  const raw = Buffer.from(publicJwk.x ?? '', 'base64url')
  const key = createPublicKey({ key: { ...publicJwk }, format: 'jwk' })
  const pem = key.export({ type: 'spki', format: 'pem' })
  const secrets: readonly (readonly [string, Uint8Array])[] = [
    ['the raw public key', raw],
    ['the public key as PEM', Buffer.from(pem)],
    ['the public key as DER', key.export({ type: 'spki', format: 'der' })],
    ['the public JWK', Buffer.from(JSON.stringify(publicJwk))],
    ['the text of x', Buffer.from(publicJwk.x ?? '')],
  ]
  return await Promise.all(
    secrets.map(async ([name, secret]) => ({
      name: `HS256 with ${name}`,
      token: await sign(material, { alg: 'HS256' }, secret),
    })),
  )
}

async function byOtherKeys(material: Material): Promise<Forgery[]> {
  const { retired } = material
  const own = generateKeyPairSync('ed25519')
  const jwk = await exportJWK(own.publicKey)
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const cases: readonly (readonly [string, Header, KeyObject])[] = [
    ['another key', {}, own.privateKey],
    ['a retired key', { kid: retired.keyId }, retired.secret],
    ['a retired key under the name of the new one', {}, retired.secret],
    ['its own key as jwk', { jwk }, own.privateKey],
    ['its own key as jwk, without kid', { jwk, kid: undefined }, own.privateKey],
    ['a jku', { jku: 'https://evil.example/jwks.json' }, own.privateKey],
    ['an x5u', { x5u: 'https://evil.example/chain.pem' }, own.privateKey],
    ['an x5c', { x5c: [Buffer.from('certificate').toString('base64')] }, own.privateKey],
    ['another curve (ES256)', { alg: 'ES256' }, ec.privateKey],
    ['an RS256 key', { alg: 'RS256' }, rsa.privateKey],
    ['an ID token (RS256, JWT)', { alg: 'RS256', typ: 'JWT' }, rsa.privateKey],
  ]
  return await Promise.all(
    cases.map(async ([name, header, key]) => ({ name, token: await sign(material, header, key) })),
  )
}

/** Really signed by us: what a bug elsewhere, or another kind of token, could produce. */
async function withWrongClaims({ claims, sign: signReal }: Material): Promise<Forgery[]> {
  const nowSeconds = Math.floor(Number(claims.iat))
  const cases: readonly (readonly [string, JWTPayload])[] = [
    ['another audience', { aud: 'internal.atelier.dev' }],
    ['no audience', { aud: undefined }],
    ['another issuer', { iss: 'https://evil.example' }],
    ['an issuer with a slash more', { iss: `${claims.iss}/` }],
    ['no issuer', { iss: undefined }],
    ['an end in the past', { exp: nowSeconds - 3600, nbf: nowSeconds - 7200 }],
    ['no end', { exp: undefined }],
    ['a beginning in the future', { nbf: nowSeconds + 3600 }],
    ['no beginning', { nbf: undefined }],
    ['no subject', { sub: undefined }],
    ['an operator as subject', { sub: '{"$gt":""}' }],
    ['no session', { sid: undefined }],
    ['an object as session', { sid: { $gt: '' } }],
    ['no id', { jti: undefined }],
  ]
  return await Promise.all(
    cases.map(async ([name, changes]) => ({
      name,
      token: await signReal({ ...claims, ...changes }),
    })),
  )
}

async function withWrongHeaders({ claims, sign: signReal }: Material): Promise<Forgery[]> {
  const cases: readonly (readonly [string, Record<string, unknown>])[] = [
    ['the type of an ID token', { typ: 'JWT' }],
    ['no type', { typ: undefined }],
    ['an unknown kid', { kid: 'other' }],
    ['a kid that is a path', { kid: '../../etc/passwd' }],
    ['no kid', { kid: undefined }],
    ['a real signature and a jwk', { jwk: { kty: 'OKP', crv: 'Ed25519', x: 'AA' } }],
    ['a real signature and a jku', { jku: 'https://evil.example' }],
  ]
  return await Promise.all(
    cases.map(async ([name, header]) => ({ name, token: await signReal(claims, header) })),
  )
}

async function damaged({ claims, sign: signReal }: Material): Promise<Forgery[]> {
  const good = await signReal(claims)
  const [header = '', payload = '', signature = ''] = good.split('.')
  const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1)
  const other = encode({ ...claims, sub: 'u-other' })
  const cases: readonly (readonly [string, string])[] = [
    ['another payload', [header, other, signature].join('.')],
    ['another signature', [header, payload, flipped].join('.')],
    ['a shorter signature', good.slice(0, -4)],
    ['no signature', [header, payload, ''].join('.')],
    ['two parts', [header, payload].join('.')],
    ['a part more', `${good}.${signature}`],
    ['the signature twice', `${good}${signature}`],
    ['five parts, as of a JWE', [header, payload, signature, payload, signature].join('.')],
    ['nothing in its parts', '..'],
    ['no parts', 'token'],
    ['no JSON', 'a.b.c'],
    ['JSON instead of base64url', `${JSON.stringify({ alg: 'EdDSA' })}.${payload}.${signature}`],
  ]
  return cases.map(([name, token]) => ({ name, token }))
}

async function sign(
  { claims, keyId }: Material,
  header: Header,
  key: KeyObject | Uint8Array,
): Promise<string> {
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: keyId, ...header })
    .sign(key)
}
