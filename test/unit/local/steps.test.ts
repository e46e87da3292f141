import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  cacheFolder,
  elapsed,
  identityOf,
  isAlive,
  lock,
  makeOnce,
  runLogged,
} from '../../../src/local/bootstrap/steps.mjs'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atelier-steps-'))
})

function writeWhole(temporary: string): Promise<void> {
  return writeFile(join(temporary, 'file'), 'whole')
}

/** A process that has ended: its id is free or belongs to another process by now. */
function deadProcess(): { readonly pid: number; readonly started: string } {
  return { pid: spawnSync(process.execPath, ['--version']).pid, started: '1' }
}

describe('the cache folder', () => {
  test.each([
    [{ ATELIER_CACHE_FOLDER: '/a', XDG_CACHE_HOME: '/b' }, '/a'],
    [{ XDG_CACHE_HOME: '/b' }, '/b/atelier'],
    [{ XDG_CACHE_HOME: '' }, /\/\.cache\/atelier$/],
  ])('is chosen by %j', (environment, expected) => {
    expect(cacheFolder(environment)).toMatch(expected)
  })
})

describe('making a folder once', () => {
  test('happens once, also when two ask at the same time', async () => {
    const target = join(folder, 'made')
    let count = 0
    const make = async (temporary: string): Promise<void> => {
      count += 1
      await writeFile(join(temporary, 'file'), 'whole')
    }
    const ask = () => makeOnce({ folder: target, title: 'made', make })
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([target, target, target])
    expect(count).toBe(1)
    expect(await readFile(join(target, 'file'), 'utf8')).toBe('whole')
  })

  test('leaves nothing behind when it fails, and is tried again', async () => {
    const target = join(folder, 'made')
    const broken = makeOnce({
      folder: target,
      title: 'broken',
      make: async (temporary) => {
        await writeFile(join(temporary, 'file'), 'half')
        throw new Error('in the middle')
      },
    })
    await expect(broken).rejects.toThrow('in the middle')
    expect(await readdir(folder)).toEqual([])
    await makeOnce({ folder: target, title: 'again', make: writeWhole })
    expect(await readdir(target)).toEqual(['file'])
  })

  test('never shows a folder that is not complete', async () => {
    const target = join(folder, 'made')
    let seen: readonly string[] = []
    const make = async (temporary: string): Promise<void> => {
      await writeFile(join(temporary, 'file'), 'half')
      seen = await readdir(folder)
    }
    await makeOnce({ folder: target, title: 'made', make })
    expect(seen).not.toContain('made')
  })
})

describe('a lock', () => {
  test('of a dead process is taken over', async () => {
    const path = join(folder, 'lock')
    await writeFile(path, JSON.stringify(deadProcess()))
    const unlock = await lock(path)
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(identityOf(process.pid))
    await unlock()
    expect(await readdir(folder)).toEqual([])
  })

  test('of a living process is waited for', async () => {
    const path = join(folder, 'lock')
    const order: string[] = []
    const unlock = await lock(path)
    const second = lock(path)
    void second.then(() => order.push('second')).catch(() => undefined)
    order.push('first')
    await unlock()
    await (
      await second
    )()
    expect(order).toEqual(['first', 'second'])
  })
})

describe('the identity of a process', () => {
  test('is alive for this process', () => {
    expect(isAlive(identityOf(process.pid))).toBe(true)
  })

  test('is not alive for the same id with another start time', () => {
    expect(isAlive({ pid: process.pid, started: '1' })).toBe(false)
  })

  test.each([0, -1, 2 ** 30])('is not alive for the id %i', (pid) => {
    expect(isAlive({ pid, started: '' })).toBe(false)
  })
})

describe('a logged program', () => {
  const node = process.execPath

  test('that fails carries its exit code and last words', async () => {
    const logFile = join(folder, 'a', 'log')
    const script = 'console.error("last words"); process.exit(7)'
    const ran = runLogged({ command: node, args: ['-e', script], logFile })
    await expect(ran).rejects.toThrow(/exit code 7[\s\S]*last words/)
  })

  test('that does not exist is named', async () => {
    const ran = runLogged({ command: 'no-such-program', args: [], logFile: join(folder, 'log') })
    await expect(ran).rejects.toThrow('no-such-program')
  })

  test('that succeeds leaves its output in the log', async () => {
    const logFile = join(folder, 'log')
    await runLogged({ command: node, args: ['-e', 'console.log("done")'], logFile })
    expect(await readFile(logFile, 'utf8')).toContain('done')
  })
})

test.each([
  [400, '0.4 s'],
  [12_300, '12 s'],
  [187_000, '3 min 07 s'],
])('%i ms reads %s', (ms, text) => {
  expect(elapsed(ms)).toBe(text)
})
