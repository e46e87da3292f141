import { existsSync, readFileSync } from 'node:fs'
import { lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { SeenRequest } from '../../../support/pack-server.ts'
import {
  type FakePack,
  fakePack,
  manifestName,
  openScene,
  quick,
  type Scene,
  weights,
} from './scene.ts'

const big = weights(300_000)
const files = {
  'unet/model.onnx': weights(2000, 2),
  'unet/weights.pb': big,
  'tokenizer/vocab.json': Buffer.from('{}'),
  empty: Buffer.alloc(0),
}
const bigFile = 'unet/weights.pb'

let scene: Scene
afterEach(async () => await scene.close())

async function begin(pack: FakePack = fakePack(files)): Promise<Scene> {
  scene = await openScene(pack)
  return scene
}

function kept(file: string): Buffer {
  return readFileSync(scene.at(scene.pack.digest, file))
}

function requestsOf(file: string) {
  return scene.server.requests.filter((request) => request.path === file)
}

/** From which byte on a request wants the file. */
function startOf(request: SeenRequest | undefined): number {
  return Number(/^bytes=(\d+)-$/.exec(request?.headers.range ?? '')?.[1] ?? 0)
}

/** What of the pack is not as it must be. */
function wrong(): readonly string[] {
  const { digest, files: wanted } = scene.pack
  const marks = ['.complete', '.parts'].filter((name) => existsSync(scene.at(digest, name)))
  return [
    ...[...wanted].flatMap(([file, bytes]) => (kept(file).equals(bytes) ? [] : [file])),
    ...(marks.join() === '.complete' ? [] : ['.complete']),
  ]
}

describe('a pack', () => {
  test('comes whole, as real files, and is not asked for again', async () => {
    const { server, fetch, progress } = await begin()
    await fetch()
    expect(wrong()).toEqual([])
    const total = Object.values(files).reduce((sum, { length }) => sum + length, 0)
    expect(progress.at(-1)).toEqual({ bytesDone: total, bytesTotal: total, secondsRemaining: 0 })
    const asked = server.requests.length
    await fetch({ holder: 'pod-b' })
    expect(server.requests.length).toBe(asked)
  })

  test('is refused when its manifest is another one, and leaves nothing', async () => {
    const { fetch, at } = await begin()
    const digest = 'f0'.repeat(32)
    await expect(fetch({ digest })).rejects.toMatchObject({ code: 'model.fetch_failed' })
    await expect(fetch({ digest })).rejects.toThrow(`the Model wants ${digest}`)
    expect(existsSync(at(digest))).toBe(false)
  })

  test.each([
    ['leads out', { '../evil': Buffer.from('x') }],
    ['is absolute', { '/etc/evil': Buffer.from('x') }],
    ['is hidden', { '.complete': Buffer.from('x') }],
    ['is the manifest', { [manifestName]: Buffer.from('x') }],
    ['is the folder of another', { a: Buffer.from('x'), 'a/b': Buffer.from('y') }],
  ])('is refused when the path of a file %s', async (_what, contents) => {
    const { fetch, at } = await begin(fakePack(contents))
    await expect(fetch()).rejects.toMatchObject({ code: 'model.pack_invalid' })
    expect(await readdir(at())).toEqual(['.leases', '.locks'])
  })

  test('never follows links that lie in its folder', async () => {
    const { fetch, at, pack, cache } = await begin()
    const outside = path.join(cache, 'outside')
    await mkdir(at(pack.digest), { recursive: true })
    await mkdir(outside)
    await writeFile(path.join(outside, 'victim'), 'untouched')
    await symlink(outside, at(pack.digest, 'unet'))
    await expect(fetch()).rejects.toThrow('symbolic link')
    expect(await readdir(outside)).toEqual(['victim'])
  })

  test('replaces a link at the place of a file by the file', async () => {
    const { fetch, at, pack, cache } = await begin()
    await mkdir(at(pack.digest, 'unet'), { recursive: true })
    await writeFile(path.join(cache, 'victim'), 'untouched')
    await symlink(path.join(cache, 'victim'), at(pack.digest, bigFile))
    await fetch()
    expect(wrong()).toEqual([])
    expect((await lstat(at(pack.digest, bigFile))).isFile()).toBe(true)
    expect(readFileSync(path.join(cache, 'victim'), 'utf8')).toBe('untouched')
  })

  test('is mended when a file of it has gone, and only that file is fetched', async () => {
    const { fetch, at, pack, server } = await begin()
    await fetch()
    await writeFile(at(pack.digest, bigFile), 'shorter')
    server.requests.length = 0
    await fetch()
    expect(wrong()).toEqual([])
    expect(server.requests.map(({ path: file }) => file)).toEqual([bigFile])
  })
})

describe('a connection that breaks', () => {
  test('is taken up where it ended, for the same version only', async () => {
    const { server, fetch, faults, breakAfter } = await begin()
    server.act(bigFile, breakAfter(100_000), breakAfter(50_000, 150_000))
    await fetch()
    expect(wrong()).toEqual([])
    const [first, second, third] = requestsOf(bigFile)
    expect(startOf(first)).toBe(0)
    expect(startOf(second)).toBeGreaterThan(0)
    expect(startOf(third)).toBeGreaterThan(startOf(second))
    expect(second?.headers['if-range']).toMatch(/^"[0-9a-f]+"$/)
    expect(faults).toHaveLength(2)
  })

  test('is taken up as often as it brings something', async () => {
    const { server, fetch, breakAfter } = await begin()
    const breaks = [1, 2, 3, 4, 5, 6, 7, 8].map((times) => breakAfter(30_000, times * 30_000))
    server.act(bigFile, ...breaks)
    await fetch()
    expect(wrong()).toEqual([])
  })

  test('is given up when nothing comes any more, by the name of the file', async () => {
    const { server, fetch } = await begin()
    server.always(bigFile, { kind: 'Truncate', bytes: 0 })
    await expect(fetch()).rejects.toThrow(`${bigFile}: the connection failed`)
    expect(requestsOf(bigFile)).toHaveLength(quick.fruitlessTriesMax)
  })

  test.each([-1, 40_000])('counts as broken when it is silent after %i bytes', async (bytes) => {
    const { server, fetch, faults } = await begin()
    server.act(bigFile, { kind: 'Stall', bytes })
    await fetch({ timing: { ...quick, stallMs: 400 } })
    expect(wrong()).toEqual([])
    expect(faults.join()).toContain('nothing came for 0.4 s')
  })

  test('starts anew when the server has another version by now', async () => {
    const { server, fetch, breakAfter } = await begin()
    // The first bytes are of an older version, with a tag of its own.
    server.files.set(bigFile, weights(big.length, 9))
    server.act(bigFile, breakAfter(90_000), { kind: 'Serve', body: big })
    await fetch()
    expect(wrong()).toEqual([])
    expect(startOf(requestsOf(bigFile)[1])).toBeGreaterThan(0)
  })

  test.each([{ kind: 'IgnoreRange' }, { kind: 'WrongPart' }] as const)(
    'starts anew when the server answers with %j',
    async (act) => {
      const { server, fetch, breakAfter } = await begin()
      server.act(bigFile, breakAfter(100_000), act)
      await fetch()
      expect(wrong()).toEqual([])
    },
  )

  test('starts anew when the part is longer than the file', async () => {
    const { fetch, server, at, pack } = await begin()
    server.always(bigFile, { kind: 'Status', status: 404 })
    await expect(fetch()).rejects.toThrow('404')
    const [part = ''] = await readdir(at(pack.digest, '.parts'))
    await writeFile(at(pack.digest, '.parts', part), weights(400_000, 5))
    server.always(bigFile, { kind: 'Serve' })
    await fetch()
    expect(wrong()).toEqual([])
  })
})

describe('a server that answers wrongly', () => {
  test('is asked once more for bytes without their digest, then given up', async () => {
    const { server, fetch, at, pack } = await begin()
    server.always(bigFile, { kind: 'Serve', body: weights(big.length, 7) })
    await expect(fetch()).rejects.toThrow(`${bigFile}: digest is`)
    expect(requestsOf(bigFile)).toHaveLength(2)
    expect(existsSync(at(pack.digest, bigFile))).toBe(false)
    expect(existsSync(at(pack.digest, '.complete'))).toBe(false)
  })

  test('may be right the second time', async () => {
    const { server, fetch } = await begin()
    server.act(bigFile, { kind: 'Serve', body: weights(big.length, 7) })
    await fetch()
    expect(wrong()).toEqual([])
  })

  test.each([299_999, 300_001])('with %i bytes of 300,000 is refused at once', async (size) => {
    const { server, fetch } = await begin()
    server.always(bigFile, { kind: 'Serve', body: weights(size) })
    await expect(fetch()).rejects.toThrow(`has ${size} bytes on the server`)
    expect(requestsOf(bigFile)).toHaveLength(1)
  })

  test('with more bytes than it said never fills the disk', async () => {
    const { server, fetch, at, pack } = await begin()
    // Without a length only the manifest bounds it.
    server.always(bigFile, { kind: 'Serve', body: weights(900_000), unmeasured: true })
    await expect(fetch()).rejects.toThrow('the server sent more than 300000 bytes')
    const sizes = await Promise.all(
      (await readdir(at(pack.digest, '.parts'))).map(
        async (name) => (await lstat(at(pack.digest, '.parts', name))).size,
      ),
    )
    expect(Math.max(...sizes)).toBeLessThanOrEqual(300_000)
  })

  test('in an encoding that nobody asked for is refused', async () => {
    const { server, fetch } = await begin()
    server.always(bigFile, { kind: 'Serve', headers: { 'content-encoding': 'gzip' } })
    await expect(fetch()).rejects.toThrow('encoding gzip')
    expect(requestsOf(bigFile)[0]?.headers['accept-encoding']).toBe('identity')
  })

  test.each([429, 500, 503])('with %i is asked again', async (status) => {
    const { server, fetch } = await begin()
    server.act(bigFile, { kind: 'Status', status, headers: { 'retry-after': '0' } })
    server.act(manifestName, { kind: 'Status', status })
    await fetch()
    expect(wrong()).toEqual([])
  })

  test.each([400, 404, 410])('with %i is not asked again', async (status) => {
    const { server, fetch } = await begin()
    server.always(bigFile, { kind: 'Status', status })
    await expect(fetch()).rejects.toThrow(`${bigFile}: the server answered ${status}`)
    expect(requestsOf(bigFile)).toHaveLength(1)
  })

  test('with a manifest that never ends is refused', async () => {
    const { server, fetch } = await begin()
    server.always(manifestName, { kind: 'Serve', body: Buffer.alloc(5 * 2 ** 20, ' ') })
    await expect(fetch()).rejects.toThrow('has more than 4194304 bytes')
  })
})

describe('an end from outside', () => {
  test('stops at once and keeps what is there', async () => {
    const { server, fetch, fetchUntil, partBytes } = await begin()
    server.act(bigFile, { kind: 'Slow', bytesPerMs: 20 })
    // More than any other file has.
    await fetchUntil(() => partBytes() > 10_000)
    await fetch({ holder: 'pod-b' })
    expect(wrong()).toEqual([])
    expect(startOf(requestsOf(bigFile)[1])).toBeGreaterThan(0)
  })
})
