import { createHash } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect } from 'vitest'
import { fetchPacks, type FetchOptions } from '../../../../src/inference/fetch/fetch-packs.ts'
import type { FetchTiming } from '../../../../src/inference/fetch/limits.ts'
import { systemClock } from '../../../../src/platform/clock/system-clock.ts'
import type { FetchProgress } from '../../../../src/shared/wire/internal.ts'
import { eventually } from '../../../support/eventually.ts'
import { type Act, type PackServer, startPackServer } from '../../../support/pack-server.ts'

export const manifestName = 'atelier-model.json'

/** Short pauses but long limits: on a busy machine nobody may look dead who is only slow. */
export const quick: FetchTiming = {
  lockBeatMs: 50,
  lockStaleMs: 10_000,
  leaseBeatMs: 60_000,
  leaseStaleMs: 600_000,
  pollMs: 20,
  stallMs: 10_000,
  retryFirstMs: 4,
  retryMaxMs: 10_000,
  fruitlessTriesMax: 3,
}

/** Bytes that look like weights: no two pieces are the same. */
export function weights(sizeBytes: number, seed = 1): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at * 32 < sizeBytes; at += 1) {
    pieces.push(createHash('sha256').update(`${seed} ${at}`).digest())
  }
  return Buffer.concat(pieces).subarray(0, sizeBytes)
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export type FakePack = { readonly files: ReadonlyMap<string, Buffer>; readonly digest: string }

/** A pack to the fetcher, which never looks into the files. */
export function fakePack(
  contents: Readonly<Record<string, Buffer>>,
  changes: Readonly<Record<string, unknown>> = {},
): FakePack {
  const files = Object.entries(contents).map(([file, bytes]) => {
    return { path: file, sha256: sha256(bytes), sizeBytes: bytes.length }
  })
  const manifest = {
    schemaVersion: 1,
    type: 'Lora',
    name: 'fake',
    description: '',
    family: 'StableDiffusion1',
    licence: 'Apache-2.0',
    files,
    ...changes,
  }
  const text = Buffer.from(JSON.stringify(manifest))
  const all = new Map([...Object.entries(contents), [manifestName, text]])
  return { files: all, digest: sha256(text) }
}

type Asked = Partial<FetchOptions> & { readonly limitBytes?: number; readonly digest?: string }

export type Scene = {
  readonly server: PackServer
  readonly cache: string
  readonly pack: FakePack
  /** Path in the cache. */
  readonly at: (...names: readonly string[]) => string
  readonly fetch: (asked?: Asked) => Promise<void>
  /** Fetches until the condition holds, and stops then. */
  readonly fetchUntil: (holds: () => boolean, asked?: Asked) => Promise<void>
  /** How much of its largest unfinished file is on the disk. */
  readonly partBytes: (digest?: string) => number
  /** Breaks the connection after so many bytes, as soon as the disk has so many of the file. */
  readonly breakAfter: (bytes: number, kept?: number) => Act
  readonly progress: FetchProgress[]
  readonly evicted: string[]
  readonly faults: string[]
  readonly close: () => Promise<void>
}

/** One server with one pack, one empty cache. */
export async function openScene(pack: FakePack): Promise<Scene> {
  const server = await startPackServer(pack.files)
  const cache = await mkdtemp(path.join(tmpdir(), 'atelier-cache-'))
  await mkdir(path.join(cache, '.leases'))
  const seen = { progress: new Array<FetchProgress>(), evicted: [''], faults: [''] }
  seen.evicted.length = 0
  seen.faults.length = 0
  const fetch = async ({ limitBytes, digest = pack.digest, ...asked }: Asked = {}) => {
    await fetchPacks({
      packs: [{ url: server.url, digest, cache, limitBytes }],
      holder: 'pod-a',
      s3Region: 'us-east-1',
      allowHttp: true,
      timing: quick,
      clock: systemClock,
      random: Math.random,
      signal: AbortSignal.timeout(20_000),
      onProgress: (progress) => seen.progress.push(progress),
      onEvicted: (evicted) => seen.evicted.push(evicted),
      onError: (error) => seen.faults.push(String(error)),
      ...asked,
    })
  }
  const fetchUntil = async (holds: () => boolean, asked: Asked = {}) => {
    const stop = new AbortController()
    const ended = fetch({ ...asked, signal: stop.signal }).catch(String)
    await eventually(() => expect(holds()).toBe(true))
    stop.abort(new Error('the pod ends'))
    expect(await ended).toBe('Error: the pod ends')
  }
  const partBytes = (digest = pack.digest) => {
    const parts = path.join(cache, digest, '.parts')
    const names = existsSync(parts) ? readdirSync(parts) : []
    const files = names.filter((name) => !name.endsWith('.etag'))
    return Math.max(0, ...files.map((name) => statSync(path.join(parts, name)).size))
  }
  return {
    server,
    cache,
    pack,
    at: (...names) => path.join(cache, ...names),
    fetch,
    fetchUntil,
    partBytes,
    breakAfter: (bytes, kept = bytes) => ({
      kind: 'Truncate',
      bytes,
      untilRead: async () => await eventually(() => expect(partBytes()).toBe(kept)),
    }),
    ...seen,
    close: async () => {
      await server.close()
      await rm(cache, { recursive: true, force: true })
    },
  }
}
