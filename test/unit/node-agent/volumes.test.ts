import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeVolumes } from '../../../src/local/node-agent/volumes.ts'
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
  await writeVolumes(aPlace({ pod, folder }, { 'Secret keys': { a: '1', b: '2' } }))
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

  it('complain about what is missing unless it is optional', async () => {
    await expect(write({ configMap: { name: 'no' } })).rejects.toThrow('there is no ConfigMap no')
    const items = [{ key: 'z', path: 'z' }]
    const missing = write({ secret: { secretName: 'keys', items } })
    await expect(missing).rejects.toThrow('there is no key z')
    expect(existsSync(await write({ configMap: { name: 'no', optional: true } }))).toBe(true)
  })
})
