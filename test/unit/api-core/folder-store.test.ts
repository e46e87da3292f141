import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openFolderStore } from '../../../src/platform/objects/folder-store.ts'
import { isObjectKey } from '../../../src/platform/objects/key.ts'
import type { ObjectStore } from '../../../src/platform/objects/store.ts'

let folder: string
let store: ObjectStore

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'objects-'))
  store = await openFolderStore(folder)
})
afterEach(async () => await rm(folder, { recursive: true, force: true }))

const bytes = Buffer.from('the bytes')
const facts = {
  sha256: createHash('sha256').update(bytes).digest('hex'),
  sizeBytes: bytes.length,
  contentType: 'text/plain',
}

async function put(key: string, content = bytes, options = facts) {
  return await store.put(key, Readable.from([content]), options)
}

async function* broken() {
  yield bytes.subarray(0, 3)
  throw new Error('the connection broke')
}

async function list(prefix: string): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys.toSorted()
}

describe('the folder store', () => {
  it('gives back what was put, with its facts', async () => {
    await put('a/b.txt')
    expect(await store.head('a/b.txt')).toEqual({ key: 'a/b.txt', ...facts })
    const found = await store.get('a/b.txt')
    expect(found).toMatchObject(facts)
    expect(found && (await buffer(found.bytes))).toEqual(bytes)
    expect(await readdir(path.join(folder, 'partial'))).toEqual([])
  })

  it('knows nothing of what is not there', async () => {
    await put('a/b')
    for (const key of ['a', 'a/b/c', 'x']) {
      expect(await store.get(key)).toBeNull()
      expect(await store.delete(key)).toBe(false)
    }
    expect(await store.delete('a/b')).toBe(true)
    expect(await store.head('a/b')).toBeNull()
  })

  it.each([
    ['too few bytes', bytes.subarray(1)],
    ['too many bytes', Buffer.concat([bytes, bytes])],
    ['other bytes', Buffer.alloc(bytes.length)],
  ])('stores nothing of %s', async (_name, content) => {
    await expect(put('a', content)).rejects.toMatchObject({ code: 'object.mismatch' })
    expect(await store.head('a')).toBeNull()
    expect(await readdir(path.join(folder, 'partial'))).toEqual([])
  })

  it('stores nothing of a stream that breaks', async () => {
    const promise = store.put('a', Readable.from(broken()), facts)
    await expect(promise).rejects.toThrow('the connection broke')
    expect(await store.head('a')).toBeNull()
  })

  it('never changes an object', async () => {
    await put('a')
    await put('a')
    const other = Buffer.from('other bts')
    const sha256 = createHash('sha256').update(other).digest('hex')
    const promise = put('a', other, { ...facts, sha256 })
    await expect(promise).rejects.toMatchObject({ code: 'object.mismatch' })
    expect(await store.head('a')).toMatchObject(facts)
  })

  it('sees that a file was cut', async () => {
    await put('a')
    await truncate(path.join(folder, 'content', 'a'), 3)
    expect(await store.head('a')).toMatchObject({ sizeBytes: 3 })
  })

  it('lists by prefix', async () => {
    for (const key of ['a/1/x', 'a/1/y', 'a/10/x', 'b']) await put(key)
    expect(await list('a/1/')).toEqual(['a/1/x', 'a/1/y'])
    expect(await list('')).toEqual(['a/1/x', 'a/1/y', 'a/10/x', 'b'])
    expect(await list('c')).toEqual([])
  })

  it('forgets half-written files of long ago when it opens', async () => {
    const partial = path.join(folder, 'partial')
    await writeFile(path.join(partial, 'old'), 'x')
    await utimes(path.join(partial, 'old'), 1, 1)
    await writeFile(path.join(partial, 'young'), 'x')
    await put('a')
    await openFolderStore(folder)
    expect(await store.head('a')).toMatchObject(facts)
    expect(await readdir(partial)).toEqual(['young'])
  })
})

describe('bytes that nobody announced', () => {
  const options = {
    contentType: 'text/plain',
    sizeBytesMax: bytes.length,
    keyOf: ({ sha256 }: { readonly sha256: string }) => `a/${sha256}`,
  }
  const key = `a/${facts.sha256}`

  it('lie under the key that their digest gives, with size and type', async () => {
    const stored = { key, ...facts }
    for (let time = 0; time < 2; time += 1) {
      expect(await store.add(Readable.from([bytes]), options)).toEqual(stored)
    }
    expect(await store.head(key)).toEqual(stored)
    expect(await readdir(path.join(folder, 'partial'))).toEqual([])
  })

  it('are not stored beyond the maximum, nor when the stream breaks', async () => {
    const tooMany = store.add(Readable.from([bytes, Buffer.from('!')]), options)
    await expect(tooMany).rejects.toMatchObject({ code: 'request.too_large' })
    await expect(store.add(Readable.from(broken()), options)).rejects.toThrow('connection broke')
    expect(await list('')).toEqual([])
    expect(await readdir(path.join(folder, 'partial'))).toEqual([])
  })
})

describe('an object key', () => {
  it.each(['a', 'artifacts/x/1/image-0.png', '_a/B.c', 'a'.repeat(200)])('may be %j', (key) => {
    expect(isObjectKey(key)).toBe(true)
  })

  const bad = [
    '',
    '/a',
    'a/',
    'a//b',
    '..',
    'a/../b',
    './a',
    '.a',
    'a\\b',
    'a b',
    'a\0',
    'é',
    'a?b',
  ]
  it.each([...bad, 'a'.repeat(201), 'a/'.repeat(520) + 'a'])('may not be %j', async (key) => {
    expect(isObjectKey(key)).toBe(false)
    await expect(store.head(key)).rejects.toMatchObject({ code: 'request.invalid' })
    await expect(put(key)).rejects.toMatchObject({ code: 'request.invalid' })
  })
})
