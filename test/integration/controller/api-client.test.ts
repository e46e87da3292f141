import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ApiClient, openApiClient } from '../../../src/controller/api-client.ts'
import { urlOf } from './fake-internal-api.ts'

let folder: string
let tokenFile: string
let server: Server
let authorizations: (string | undefined)[]
let respond: (response: ServerResponse) => void
let stopping: AbortController
let client: ApiClient

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'atelier-api-client-'))
  tokenFile = path.join(folder, 'token')
  await writeFile(tokenFile, 'first\n')
  authorizations = []
  respond = (response) => response.end(JSON.stringify({ state: 'Settled' }))
  server = createServer((request, response) => {
    authorizations.push(request.headers.authorization)
    respond(response)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  stopping = new AbortController()
  client = open(10_000)
})

afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true })
})

function open(timeoutMs: number): ApiClient {
  return openApiClient({ baseUrl: urlOf(server), tokenFile, timeoutMs, signal: stopping.signal })
}

describe('the client of the internal api', () => {
  it('sends the token of the file', async () => {
    await client.getSettlement('job')
    expect(authorizations).toEqual(['Bearer first'])
  })

  it('answers with what the api says', async () => {
    const answer = await client.getSettlement('job')
    expect(answer).toEqual({ kind: 'Answered', value: { state: 'Settled' } })
  })

  it.each([
    ['an error status', (response: ServerResponse) => response.writeHead(500).end()],
    ['something that is not JSON', (response: ServerResponse) => response.end('<html>')],
    ['JSON of another shape', (response: ServerResponse) => response.end('{"state":"Maybe"}')],
    ['a cut connection', (response: ServerResponse) => response.destroy()],
  ])('says that it is unreachable after %s', async (_, behave) => {
    respond = behave
    expect(await client.getSettlement('job')).toMatchObject({ kind: 'Unreachable' })
  })

  it('says so too after silence', async () => {
    respond = () => undefined
    expect(await open(300).getSettlement('job')).toMatchObject({ kind: 'Unreachable' })
  })

  it('says so too when there is no token', async () => {
    await rm(tokenFile)
    expect(await client.getSettlement('job')).toMatchObject({ kind: 'Unreachable' })
    expect(authorizations).toEqual([])
  })

  it('gives up at once when the process stops', async () => {
    respond = () => stopping.abort(new Error('the test stops'))
    await expect(client.getSettlement('job')).rejects.toThrow('the test stops')
  })
})
