import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openTokenFile } from '../../../../src/platform/kube/token-file.ts'

let folder = ''
let file = ''
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  folder = await mkdtemp(join(tmpdir(), 'atelier-token-'))
  file = join(folder, 'token')
})
afterEach(async () => {
  vi.useRealTimers()
  await rm(folder, { recursive: true })
})

describe('a token file', () => {
  it('is read again after a second, and no sooner', async () => {
    await writeFile(file, 'first\n')
    const token = openTokenFile(file)
    expect(await token()).toBe('first')
    await writeFile(file, 'second')
    vi.advanceTimersByTime(999)
    expect(await token()).toBe('first')
    vi.advanceTimersByTime(1)
    expect(await token()).toBe('second')
  })

  it('is read once for all who ask at the same time', async () => {
    await writeFile(file, 'one')
    const token = openTokenFile(file)
    expect(await Promise.all([token(), token(), token()])).toEqual(['one', 'one', 'one'])
  })

  it('is looked for at the next request when it is not there yet', async () => {
    const token = openTokenFile(file)
    await expect(token()).rejects.toThrow('ENOENT')
    await writeFile(file, 'late')
    expect(await token()).toBe('late')
  })
})
