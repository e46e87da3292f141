import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeVolumes } from '../../../src/local/node-agent/volumes.ts'
import { parseImageMap } from '../../../src/local/node-agent/image-map.ts'
import type { Volume } from '../../../src/local/node-agent/pod.ts'
import { aPlace, aPod } from './builders.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'node-agent-unit-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

async function write(volume: Omit<Volume, 'name'>): Promise<string> {
  const pod = aPod({ volumes: [{ name: 'v', ...volume }] })
  const place = aPlace({ pod, folder }, { 'Secret keys': { a: '1', b: '2' } })
  const images = parseImageMap({ 'models:1': { folder: '/models' }, run: { command: ['x'] } })
  await writeVolumes({ ...place, claimsFolder: join(folder, 'claims'), images })
  return join(folder, 'volumes', 'v')
}

function mode(file: string): number {
  return statSync(file).mode & 0o777
}

describe('volumes', () => {
  it('have all keys of a Secret, readable', async () => {
    const path = await write({ secret: { secretName: 'keys' } })
    expect(readFileSync(join(path, 'a'), 'utf8')).toBe('1')
    expect(readFileSync(join(path, 'b'), 'utf8')).toBe('2')
    expect(mode(join(path, 'a'))).toBe(0o644)
  })

  it('have the named keys only, with their modes', async () => {
    const items = [
      { key: 'b', path: 'sub/b', mode: 0o400 },
      { key: 'a', path: 'c' },
    ]
    const path = await write({ secret: { secretName: 'keys', items, defaultMode: 0o600 } })
    expect(readFileSync(join(path, 'sub/b'), 'utf8')).toBe('2')
    expect([mode(join(path, 'sub/b')), mode(join(path, 'c'))]).toEqual([0o400, 0o600])
    expect(existsSync(join(path, 'a'))).toBe(false)
  })

  it('join projected sources and the fields of the pod', async () => {
    const items = [{ path: 'me', fieldRef: { fieldPath: 'metadata.name' } }]
    const sources = [{ secret: { name: 'keys' } }, { downwardAPI: { items } }]
    const path = await write({ projected: { sources } })
    expect(readFileSync(join(path, 'a'), 'utf8')).toBe('1')
    expect(readFileSync(join(path, 'me'), 'utf8')).toBe('picture')
  })

  it('on a claim are one folder for all pods of the namespace, and are not emptied', async () => {
    const claim = { persistentVolumeClaim: { claimName: 'models' } }
    const first = await write(claim)
    writeFileSync(join(first, 'weights'), 'kept')
    expect(readFileSync(join(await write(claim), 'weights'), 'utf8')).toBe('kept')
    expect(realpathSync(first)).toBe(realpathSync(join(folder, 'claims/art/models')))
    rmSync(join(folder, 'volumes'), { recursive: true })
    expect(existsSync(join(folder, 'claims/art/models/weights'))).toBe(true)
  })

  it('of an image show the folder of the image map, and of no other image', async () => {
    expect(readlinkSync(await write({ image: { reference: 'models:1' } }))).toBe('/models')
    for (const reference of ['models:2', 'run']) {
      await expect(write({ image: { reference } })).rejects.toThrow('no folder of the image map')
    }
  })

  it('complain about what is missing unless it is optional', async () => {
    await expect(write({ configMap: { name: 'no' } })).rejects.toThrow('there is no ConfigMap no')
    const items = [{ key: 'z', path: 'z' }]
    const missing = write({ secret: { secretName: 'keys', items } })
    await expect(missing).rejects.toThrow('there is no key z')
    expect(existsSync(await write({ configMap: { name: 'no', optional: true } }))).toBe(true)
  })
})
