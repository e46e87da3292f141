import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { Cache } from '../../../../src/inference/fetch/cache.ts'
import { readUse, takeLease } from '../../../../src/inference/fetch/lease.ts'
import { tryLock } from '../../../../src/inference/fetch/lock.ts'
import { eventually } from '../../../support/eventually.ts'
import { startPackServer } from '../../../support/pack-server.ts'
import {
  type FakePack,
  fakePack,
  manifestName,
  openScene,
  quick,
  type Scene,
  weights,
} from './scene.ts'

const contents = { 'a.bin': weights(40_000, 1), 'b.bin': weights(10_000, 2) }
const sizeBytes = 50_000
/** What a pack takes on the disk: its files, the manifest, the mark. */
const withManifest = 1000

let scene: Scene
afterEach(async () => await scene.close())

async function begin(pack: FakePack = fakePack(contents)): Promise<Scene> {
  scene = await openScene(pack)
  return scene
}

const beats = {
  beatMs: 60_000,
  onError: (error: unknown): void => {
    throw error
  },
}
/** Of leases, when nothing else is said. */
const staleMs = quick.leaseStaleMs

function requestsOf(file: string): number {
  return scene.server.requests.filter((request) => request.path === file).length
}

/** Another pack of about the same size on the same server. */
function another(seed: number): FakePack {
  return fakePack({ [`${seed}.bin`]: weights(sizeBytes, seed) }, { name: `other-${seed}` })
}

async function fetchOther(pack: FakePack, limitBytes?: number, holder = 'pod-a'): Promise<void> {
  for (const [file, bytes] of pack.files) scene.server.files.set(file, bytes)
  await scene.fetch({ digest: pack.digest, holder, ...(limitBytes && { limitBytes }) })
  await endLeases(pack.digest, holder)
}

/** As the pod does when its work is over. */
async function endLeases(digest: string, holder = 'pod-a'): Promise<void> {
  const lease = await takeLease(scene.at('.leases', digest, holder), beats)
  await lease.end()
}

/** Makes the last use of a pack lie so many seconds in the past. */
async function age(digest: string, seconds: number): Promise<void> {
  const folder = scene.at('.leases', digest)
  const then = Date.now() / 1000 - seconds
  for (const name of await readdir(folder)) await utimes(path.join(folder, name), then, then)
}

async function packs(): Promise<readonly string[]> {
  return (await readdir(scene.cache)).filter((name) => !name.startsWith('.')).toSorted()
}

describe('several pods that want one pack', () => {
  test('fetch it once, and all of them get it', async () => {
    const { fetch, server } = await begin()
    server.act('a.bin', { kind: 'Slow', bytesPerMs: 100 })
    await Promise.all(['pod-a', 'pod-b', 'pod-c'].map(async (holder) => await fetch({ holder })))
    expect(requestsOf('a.bin')).toBe(1)
    expect(requestsOf('b.bin')).toBe(1)
    expect(await packs()).toEqual([scene.pack.digest])
  })

  test('go on where one of them ended that has died', async () => {
    const { fetch, fetchUntil, partBytes, server, at, pack } = await begin()
    server.act('a.bin', { kind: 'Stall', bytes: 30_000 })
    await fetchUntil(() => partBytes() === 30_000)
    // Put back as one who was killed leaves it.
    const [lock = ''] = await readdir(at('.locks')).then((names) =>
      names.filter((name) => name.startsWith(pack.digest)),
    )
    const timing = { ...quick, lockStaleMs: 500 }
    const started = Date.now()
    await writeFile(at('.locks', lock), 'pod-a')
    await fetch({ holder: 'pod-b', timing })
    expect(Date.now() - started).toBeGreaterThanOrEqual(timing.lockStaleMs)
    const resumed = server.requests.filter(({ path: file }) => file === 'a.bin')
    expect(resumed.at(-1)?.headers.range).toBe('bytes=30000-')
    expect(readFileSync(at(pack.digest, 'a.bin')).equals(contents['a.bin'])).toBe(true)
  })

  test('do not wait for the lock that the same pod left when it was killed', async () => {
    const { fetch, at, pack } = await begin()
    await mkdir(at('.locks'), { recursive: true })
    await writeFile(at('.locks', `${pack.digest}.7`), 'pod-a')
    // Nobody would wait so long here.
    await fetch({ timing: { ...quick, lockStaleMs: 3_600_000 } })
    expect(await packs()).toEqual([pack.digest])
  })

  test('survive one that was away so long that its lock was taken over', async () => {
    const { fetch, server, faults, at, pack } = await begin()
    server.act('a.bin', { kind: 'Stall', bytes: 10_000 })
    const first = fetch()
    // The lock file alone says less: it is there before its holder has made sure of it.
    await eventually(() => expect(requestsOf('a.bin')).toBe(1))
    // As if it had slept: somebody else made the next lock.
    await writeFile(at('.locks', `${pack.digest}.2`), 'pod-b')
    await eventually(() => expect(faults.join().includes('the lock was taken over')).toBe(true))
    await writeFile(at('.locks', `${pack.digest}.2`), 'released')
    await first
    expect(readFileSync(at(pack.digest, 'a.bin')).equals(contents['a.bin'])).toBe(true)
  })
})

function place(holder: string) {
  return { folder: scene.at(), name: 'x', holder, timing: quick }
}

describe('a lock', () => {
  test('has one holder, and the next one when it is released', async () => {
    await begin()
    const held = await tryLock(place('a'))
    expect(held).toBeDefined()
    expect(await tryLock(place('b'))).toBeUndefined()
    await held?.release()
    const next = await tryLock(place('b'))
    expect(next).toBeDefined()
    expect(await tryLock(place('a'))).toBeUndefined()
    await next?.release()
  })

  test('is given to one of many who ask at once', async () => {
    await begin()
    for (let round = 0; round < 5; round += 1) {
      const asked = Array.from({ length: 12 }, async (_, index) => await tryLock(place(`${index}`)))
      const got = (await Promise.all(asked)).filter((lock) => lock !== undefined)
      expect(got).toHaveLength(1)
      await got[0]?.release()
    }
  })

  test('stays with a holder who gives signs of life, however long', async () => {
    const { at } = await begin()
    const held = await tryLock(place('a'))
    for (let round = 0; round < 5; round += 1) {
      // As if it were held for years: only the next sign of life can tell that it still is.
      await utimes(at('x.1'), 0, 0)
      await eventually(async () => expect((await stat(at('x.1'))).mtimeMs).toBeGreaterThan(0))
    }
    expect(await tryLock(place('b'))).toBeUndefined()
    await expect(held?.confirm()).resolves.toBeUndefined()
    await held?.release()
  })
})

describe('a cache that is full', () => {
  const limitBytes = 3 * (sizeBytes + withManifest)

  test('loses the packs that were used longest ago, and only as many as needed', async () => {
    await begin()
    const [first, second, third, fourth] = [11, 12, 13, 14].map(another)
    if (!first || !second || !third || !fourth) throw new Error('there are four')
    await fetchOther(first, limitBytes)
    await fetchOther(second, limitBytes)
    await fetchOther(third, limitBytes)
    await age(first.digest, 30)
    await age(second.digest, 60)
    await fetchOther(fourth, limitBytes)
    expect(scene.evicted).toEqual([second.digest])
    expect(await packs()).toEqual([first, third, fourth].map(({ digest }) => digest).toSorted())
    expect(existsSync(scene.at('.trash'))).toBe(false)
  })

  test('keeps a pack that a pod uses, and says so when there is no room without it', async () => {
    await begin()
    const [first, second] = [another(21), another(22)]
    await fetchOther(first)
    const lease = await takeLease(scene.at('.leases', first.digest, 'pod-x'), beats)
    await expect(fetchOther(second, sizeBytes + withManifest)).rejects.toMatchObject({
      code: 'model.cache_full',
    })
    expect(scene.evicted).toEqual([])
    await lease.end()
    await fetchOther(second, sizeBytes + withManifest)
    expect(scene.evicted).toEqual([first.digest])
  })

  test('does not wait for a pod that has died without ending its lease', async () => {
    await begin()
    const [first, second] = [another(31), another(32)]
    await fetchOther(first)
    const lease = await takeLease(scene.at('.leases', first.digest, 'pod-x'), beats)
    lease.handOver()
    await age(first.digest, 3600)
    await fetchOther(second, sizeBytes + withManifest)
    expect(scene.evicted).toEqual([first.digest])
  })

  test('keeps every pack of a pod that is still fetching its last one', async () => {
    await begin()
    const [first, last, third] = [another(81), another(82), another(83)]
    const servers = [await startPackServer(first.files), await startPackServer(last.files)]
    const refusal = Promise.withResolvers<void>()
    servers[1]?.act('82.bin', { kind: 'Slow', bytesPerMs: 1000, until: refusal.promise })
    const packsOfPod = [first, last].map(({ digest }, index) => {
      const url = servers[index]?.url ?? ''
      return { url, digest, cache: scene.cache, limitBytes: undefined }
    })
    const timing = { ...quick, leaseBeatMs: 25 }
    const fetching = scene.fetch({ packs: packsOfPod, timing })
    const lease = scene.at('.leases', first.digest, 'pod-a')
    await eventually(() => expect(existsSync(scene.at(last.digest, '.parts'))).toBe(true))
    // So long ago that it is stale unless somebody renews it.
    await age(first.digest, 3600)
    const { mtimeMs } = await stat(lease)
    await eventually(async () => expect((await stat(lease)).mtimeMs).toBeGreaterThan(mtimeMs))
    await expect(fetchOther(third, 2 * sizeBytes, 'pod-b')).rejects.toMatchObject({
      code: 'model.cache_full',
    })
    expect(scene.evicted).toEqual([])
    refusal.resolve()
    await fetching
    expect(existsSync(scene.at(first.digest, '.complete'))).toBe(true)
    await Promise.all(servers.map(async (server) => await server.close()))
  })

  test('never evicts for a pack that is too large anyhow', async () => {
    await begin()
    const [first, second] = [another(41), another(42)]
    await fetchOther(first)
    await expect(fetchOther(second, 10_000)).rejects.toThrow('does not fit within its limit')
    expect(await packs()).toContain(first.digest)
    expect(requestsOf('42.bin')).toBe(0)
  })

  test('gives what a fetch that was given up has left', async () => {
    await begin()
    const [first, second] = [another(51), another(52)]
    for (const [file, bytes] of first.files) scene.server.files.set(file, bytes)
    scene.server.act('51.bin', { kind: 'Stall', bytes: 30_000 })
    const { digest } = first
    await scene.fetchUntil(() => scene.partBytes(digest) === 30_000, { digest })
    await age(first.digest, 3600)
    await fetchOther(second, sizeBytes + withManifest)
    expect(await packs()).toEqual([second.digest])
  })

  test('counts what another pod is still fetching', async () => {
    await begin()
    const [first, second] = [another(61), another(62)]
    for (const [file, bytes] of first.files) scene.server.files.set(file, bytes)
    scene.server.act('61.bin', { kind: 'Slow', bytesPerMs: 100 })
    const fetching = scene.fetch({ digest: first.digest })
    await eventually(() => expect(existsSync(scene.at(first.digest, '.parts'))).toBe(true))
    await expect(fetchOther(second, 80_000, 'pod-b')).rejects.toMatchObject({
      code: 'model.cache_full',
    })
    await fetching
  })

  test('takes a pack back that somebody begins to use just now', async () => {
    await begin()
    const pack = another(71)
    await fetchOther(pack)
    const cache = await Cache.open({ folder: scene.cache, holder: 'pod-b', timing: quick })
    const lease = await takeLease(scene.at('.leases', pack.digest, 'pod-x'), beats)
    expect(await cache.evict(pack.digest)).toBe(false)
    expect(await cache.isComplete(pack.digest)).toBe(true)
    await lease.end()
    expect(await cache.evict(pack.digest)).toBe(true)
    expect(await packs()).toEqual([])
  })
})

describe('the leases of a pack', () => {
  test('say when it was used last, also after the pod has ended', async () => {
    const { at, pack } = await begin()
    const lease = await takeLease(at('.leases', pack.digest, 'pod-a'), { ...beats, beatMs: 20 })
    const first = (await stat(at('.leases', pack.digest, 'pod-a'))).mtimeMs
    await new Promise((resolve) => setTimeout(resolve, 100))
    await lease.end()
    const use = await readUse(at('.leases', pack.digest), { nowMs: Date.now(), staleMs })
    expect(use.inUse).toBe(false)
    expect(use.lastUseMs).toBeGreaterThan(first)
    expect(await readdir(at('.leases', pack.digest))).toEqual(['.last-use'])
  }, 10_000)

  test('are not led out of their folder by a link', async () => {
    const { at, pack, cache } = await begin()
    const outside = path.join(cache, 'outside')
    await mkdir(outside)
    await writeFile(path.join(outside, 'victim'), 'untouched')
    await utimes(path.join(outside, 'victim'), 0, 0)
    await symlink(outside, at('.leases', pack.digest))
    const taking = takeLease(at('.leases', pack.digest, 'pod-a'), beats)
    await expect(taking).rejects.toThrow('symbolic link')
    const use = await readUse(at('.leases', pack.digest), { nowMs: Date.now(), staleMs })
    expect(use).toEqual({ inUse: false, lastUseMs: 0 })
    expect(await readdir(outside)).toEqual(['victim'])
  })

  test('of pods that were killed go away after a day, but not the newest', async () => {
    const { at, pack } = await begin()
    for (const holder of ['a', 'b', 'c']) {
      await mkdir(at('.leases', pack.digest), { recursive: true })
      await writeFile(at('.leases', pack.digest, holder), '.')
    }
    await age(pack.digest, 100_000)
    await utimes(at('.leases', pack.digest, 'c'), 1e9, Date.now() / 1000 - 90_000)
    const use = await readUse(at('.leases', pack.digest), { nowMs: Date.now(), staleMs })
    expect(use.inUse).toBe(false)
    expect(await readdir(at('.leases', pack.digest))).toEqual(['c'])
  })
})

test.each(['the manifest', 'a lock'])(
  'a disk that has no room for %s is a full cache',
  async (what) => {
    const { fetch, at, pack } = await begin()
    await mkdir(at(pack.digest))
    await mkdir(at('.locks'))
    // The one file of Linux that has never room.
    if (what === 'a lock') {
      await writeFile(at('.locks', `${pack.digest}.1`), 'pod-b')
      await symlink('/dev/full', at('.locks', '.now-pod-a'))
    } else await symlink('/dev/full', at(pack.digest, `.new-${manifestName}`))
    await expect(fetch()).rejects.toMatchObject({ code: 'model.cache_full' })
  },
)

test('nothing is left beside the locks, however many fetch and evict', async () => {
  await begin()
  const [first, second] = [another(91), another(92)]
  await fetchOther(first)
  await fetchOther(second, sizeBytes + withManifest, 'pod-b')
  expect(scene.evicted).toEqual([first.digest])
  const left = await readdir(scene.at('.locks'))
  expect(left.filter((name) => name.startsWith('.'))).toEqual([])
})

test('an end by the manifest file alone is no pack', async () => {
  const { fetch, at, pack } = await begin()
  await mkdir(at(pack.digest), { recursive: true })
  const [, manifest = Buffer.alloc(0)] =
    [...pack.files].find(([file]) => file === manifestName) ?? []
  await writeFile(at(pack.digest, manifestName), manifest)
  await writeFile(at(pack.digest, '.complete'), '')
  await fetch()
  expect(existsSync(at(pack.digest, 'b.bin'))).toBe(true)
})
