import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { type PackServer, startPackServer } from '../../../support/pack-server.ts'
import { fakePack, manifestName, openScene, type Scene, weights } from './scene.ts'

const file = 'model.bin'
const pack = fakePack({ [file]: weights(5000) })

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function begin(): Promise<Scene> {
  const scene = await openScene(pack)
  closers.push(scene.close)
  return scene
}

async function startOther(): Promise<PackServer> {
  const server = await startPackServer(pack.files)
  closers.push(server.close)
  return server
}

/** A mounted Secret. */
async function mount(keys: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atelier-secret-'))
  closers.push(async () => await rm(folder, { recursive: true, force: true }))
  for (const [key, value] of Object.entries(keys)) await writeFile(path.join(folder, key), value)
  return folder
}

function withSecret({ server, cache }: Scene, credentials: string) {
  return { packs: [{ url: server.url, digest: pack.digest, cache, credentials }] }
}

function redirect(location: string) {
  return { kind: 'Status', status: 302, headers: { location } } as const
}

describe('redirects', () => {
  test('are followed to another server, also when a part is resumed', async () => {
    const [{ server, fetch, at, breakAfter }, other] = [await begin(), await startOther()]
    server.always(file, redirect(`${other.url}/${file}`))
    other.act(file, breakAfter(2000))
    await fetch()
    const ranges = other.requests.map(({ headers }) => headers.range)
    expect(ranges).toEqual([undefined, 'bytes=2000-'])
    expect(server.requests.filter((one) => one.path === file)).toHaveLength(2)
    expect(at()).not.toBe('')
  })

  test('may be relative', async () => {
    const { server, fetch } = await begin()
    server.files.set('moved', weights(5000))
    server.always(file, redirect('/moved'))
    await fetch()
    expect(server.requests.map((one) => one.path)).toContain('moved')
  })

  test.each([
    ['http:// to another machine', 'http://192.0.2.1/x'],
    ['a password', 'http://user:secret@127.0.0.1/x'],
    ['a file', 'file:///etc/passwd'],
    ['data', 'data:text/plain,x'],
  ])('are not followed to %s', async (_what, location) => {
    const { server, fetch } = await begin()
    server.always(file, redirect(location))
    await expect(fetch()).rejects.toThrow('only https is permitted')
  })

  test('are not followed for ever', async () => {
    const { server, fetch } = await begin()
    server.always(file, redirect(`/${file}`))
    await expect(fetch()).rejects.toThrow('redirected more than 5 times')
    expect(server.requests.filter((one) => one.path === file)).toHaveLength(6)
  })
})

describe('plain http', () => {
  test('is refused to this machine too, unless a test permits it', async () => {
    const { fetch, server } = await begin()
    await expect(fetch({ allowHttp: false })).rejects.toThrow('only https is permitted')
    expect(server.requests).toEqual([])
  })
})

describe('credentials', () => {
  test('go as a bearer token to the first server, and to no other', async () => {
    const [scene, other] = [await begin(), await startOther()]
    scene.server.always(file, redirect(`${other.url}/${file}`))
    await scene.fetch(withSecret(scene, await mount({ token: 'hf_secret\n' })))
    const sent = scene.server.requests.map(({ headers }) => headers.authorization)
    expect(sent).toEqual(['Bearer hf_secret', 'Bearer hf_secret'])
    expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined])
  })

  test('sign every request for S3, with its range', async () => {
    const scene = await begin()
    scene.server.act(file, scene.breakAfter(2000))
    const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }
    await scene.fetch(withSecret(scene, await mount(keys)))
    const sent = scene.server.requests.map(({ headers }) => headers.authorization ?? '')
    expect(sent).toHaveLength(3)
    for (const one of sent) {
      expect(one).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/us-east-1\/s3\//)
    }
    expect(sent[2]).toContain('SignedHeaders=accept-encoding;host;if-range;range;')
    expect(JSON.stringify(scene.server.requests)).not.toContain('"secret"')
  })

  test('are missed by the server, which is said with the field that names them', async () => {
    const scene = await begin()
    scene.server.always(manifestName, { kind: 'Status', status: 401 })
    const asked = withSecret(scene, path.join(scene.cache, 'no-such-folder'))
    await expect(scene.fetch(asked)).rejects.toThrow('spec.delivery.fetch.secretRef')
    expect(scene.server.requests).toHaveLength(1)
    expect(scene.server.requests[0]?.headers.authorization).toBeUndefined()
  })
})
