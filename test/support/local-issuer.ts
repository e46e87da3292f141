import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { z } from 'zod'

/** An OpenID Connect provider on loopback: discovery, keys, and tokens of any kind. */
export type LocalIssuer = {
  readonly address: string
  readonly jwksUri: string
  /** A good ID token, with these changes. Times are seconds of the epoch. */
  readonly token: (claims?: JWTPayload, options?: TokenOptions) => Promise<string>
  /** A new key; the old ones are gone from the document. */
  readonly rotate: () => Promise<void>
  /** From now on every request is answered with this status; 200 is normal. */
  readonly answerWith: (status: number) => void
  /** From now on its documents have this too; nothing is normal. */
  readonly publish: (documents: Documents) => void
  readonly requests: () => number
  readonly close: () => Promise<void>
}

export type TokenOptions = {
  readonly header?: Readonly<Record<string, unknown>>
  /** Signs with a key that the issuer does not publish, under the id of one that it does. */
  readonly strangersKey?: boolean
}

/** Members of the discovery document, and keys in front of the issuer's own. */
export type Documents = { readonly discovery?: object; readonly keys?: readonly object[] }

type Key = { readonly kid: string; readonly privateKey: CryptoKey; readonly jwk: object }

export async function startLocalIssuer(clientId: string): Promise<LocalIssuer> {
  let key = await makeKey('key-1')
  let made = 1
  let status = 200
  let documents: Documents = {}
  let requests = 0
  const server = createServer((request, response) => {
    requests += 1
    if (status !== 200) response.writeHead(status).end()
    else if (request.url === '/keys')
      sendJson(response, { keys: [...(documents.keys ?? []), key.jwk] })
    else
      sendJson(response, {
        issuer: address,
        jwks_uri: `${address}/keys`,
        ...documents.discovery,
      })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = z.object({ port: z.int() }).parse(server.address())
  const address = `http://127.0.0.1:${port}`
  return {
    address,
    jwksUri: `${address}/keys`,
    token: async (claims = {}, { header = {}, strangersKey = false } = {}) => {
      const now = Math.floor(Date.now() / 1000)
      const signing = strangersKey ? await makeKey(key.kid) : key
      const good = { iss: address, aud: clientId, sub: 'subject-1', iat: now, exp: now + 600 }
      return await new SignJWT({ ...good, auth_time: now, ...claims })
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: signing.kid, ...header })
        .sign(signing.privateKey)
    },
    rotate: async () => {
      made += 1
      key = await makeKey(`key-${made}`)
    },
    answerWith: (next) => {
      status = next
    },
    publish: (next) => {
      documents = next
    },
    requests: () => requests,
    close: async () => {
      server.close()
      server.closeAllConnections()
      await Promise.resolve()
    },
  }
}

async function makeKey(kid: string): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  return {
    kid,
    privateKey,
    jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'RS256' },
  }
}

function sendJson(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=60' })
  response.end(JSON.stringify(body))
}
