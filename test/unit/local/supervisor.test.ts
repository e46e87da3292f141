import { spawn } from 'node:child_process'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { identityOf, isAlive } from '../../../src/local/bootstrap/steps.mjs'
import { endDeadRun, openRunRecord } from '../../../src/local/run-record.ts'
import { type ProcessSpec, Supervisor } from '../../../src/local/supervisor.ts'
import {
  type Restartable,
  type RestartPolicy,
  startRestartable,
} from '../../../src/local/restartable.ts'
import { eventually } from '../../support/eventually.ts'

const node = process.execPath
const forever = 'setInterval(() => {}, 1000)'

let folder: string
let stopping: AbortController
let supervisor: Supervisor
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atelier-supervisor-'))
  stopping = new AbortController()
  supervisor = new Supervisor({
    logFolder: join(folder, 'logs'),
    record: await openRunRecord(join(folder, 'run.json')),
    signal: stopping.signal,
  })
  return () => supervisor.stopAll()
})

/** Ready as soon as it has written its name to the log. */
function spec(name: string, script: string, more: Partial<ProcessSpec> = {}): ProcessSpec {
  return {
    name,
    command: node,
    args: ['-e', `${script}; console.log('ready')`],
    ready: async () => {
      const log = await readFile(join(folder, 'logs', `${name}.log`), 'utf8')
      return log.includes('ready')
    },
    ...more,
  }
}

async function recorded(): Promise<readonly string[]> {
  const { children } = JSON.parse(await readFile(join(folder, 'run.json'), 'utf8'))
  return children.map(({ name }: { readonly name: string }) => name)
}

describe('starting', () => {
  test('resolves when the process is ready and records it', async () => {
    const running = await supervisor.start(spec('one', forever))
    expect(isAlive(identityOf(running.pid))).toBe(true)
    expect(await recorded()).toEqual(['one'])
  })

  test('fails with the log of a process that ends before it is ready', async () => {
    const early = spec('early', 'console.error("no such flag"); process.exit(3)')
    const started = supervisor.start({ ...early, ready: () => Promise.resolve(false) })
    await expect(started).rejects.toThrow(
      /early ended while starting \(exit code 3\)[^]*no such flag/,
    )
    expect(await recorded()).toEqual([])
  })

  test('fails and ends the process that is not ready in time', async () => {
    const deaf = spec('deaf', forever, { ready: () => Promise.resolve(false), readyTimeoutMs: 300 })
    await expect(supervisor.start(deaf)).rejects.toThrow('deaf is not ready in time')
    expect(supervisor.processes).toEqual([])
  })

  test('fails for a program that does not exist', async () => {
    const absent = spec('absent', '', { command: join(folder, 'absent') })
    await expect(supervisor.start(absent)).rejects.toThrow(/absent.*ENOENT/)
  })

  test('is refused after everything was stopped', async () => {
    await supervisor.stopAll()
    await expect(supervisor.start(spec('late', forever))).rejects.toThrow('being stopped')
  })

  test('is given up when the signal fires', async () => {
    const deaf = spec('deaf', forever, { ready: () => Promise.resolve(false) })
    const started = supervisor.start(deaf)
    stopping.abort(new Error('Ctrl-C'))
    await expect(started).rejects.toThrow('Ctrl-C')
    expect(supervisor.processes).toEqual([])
  })
})

describe('stopping', () => {
  test('goes in reverse order', async () => {
    const order: string[] = []
    for (const name of ['first', 'second', 'third']) {
      const running = await supervisor.start(spec(name, forever))
      void running.ended.then(() => order.push(name)).catch(() => undefined)
    }
    await supervisor.stopAll()
    expect(order).toEqual(['third', 'second', 'first'])
    expect(await recorded()).toEqual([])
  })

  test('kills a process that ignores the request when its grace is over', async () => {
    const stubborn = spec('stubborn', `process.on('SIGTERM', () => {}); ${forever}`)
    const running = await supervisor.start({ ...stubborn, stopGraceMs: 100 })
    await running.stop()
    expect(await running.ended).toBe('SIGKILL')
  })

  test('is no failure of the environment, an end by itself is', async () => {
    const asked = await supervisor.start(spec('asked', forever))
    await asked.stop()
    const broken = await supervisor.start(spec('broken', 'setTimeout(() => process.exit(5), 300)'))
    await broken.ended
    const failure = await supervisor.failure
    expect(failure.message).toMatch(/^broken ended unexpectedly \(exit code 5\)/)
  })
})

test('a restartable process runs again after a kill, with another id', async () => {
  const part = await startRestartable(supervisor, spec('part', forever))
  const before = part.pid()
  await part.kill()
  expect(isAlive(identityOf(before))).toBe(false)
  await part.restart()
  expect(part.pid()).not.toBe(before)
  expect(isAlive(identityOf(part.pid()))).toBe(true)
})

describe('a process that is kept running', () => {
  let lines: string[]
  const keep = (pausesMs: readonly number[], settledMs = 60_000): RestartPolicy => {
    lines = []
    return { pausesMs, settledMs, print: (line) => void lines.push(line) }
  }

  test('is started again when it ends by itself, in one line, and nothing has failed', async () => {
    const part = await startRestartable(supervisor, spec('part', forever), keep([0]))
    const before = part.pid()
    killFromOutside(before)
    const after = await untilAnother(part, before)
    expect(isAlive(identityOf(after))).toBe(true)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/part ended unexpectedly \(SIGKILL\); started again at once.*log\.1$/)
    expect(await isFailed()).toBe(false)
  })

  test('is given up when it ends once more than it may be restarted in a row', async () => {
    const broken = spec('broken', 'setTimeout(() => process.exit(5), 50)')
    await startRestartable(supervisor, broken, keep([0, 20]))
    const failure = await supervisor.failure
    expect(failure.message).toMatch(/^broken ended unexpectedly \(exit code 5\)/)
    expect(lines.map((line) => /again (.*),/.exec(line)?.[1])).toEqual(['at once', 'in 0.02 s'])
  })

  test('is given up when it cannot even start any more', async () => {
    const flag = join(folder, 'flag')
    const script = `if (fs.existsSync('${flag}')) process.exit(6); ${forever}`
    const part = await startRestartable(supervisor, spec('part', script), keep([0, 0]))
    await writeFile(flag, '')
    killFromOutside(part.pid())
    const failure = await supervisor.failure
    expect(failure.message).toMatch(/^part ended while starting \(exit code 6\)/)
    expect(lines).toHaveLength(2)
  })

  test('may be restarted as often again after it was well for a while', async () => {
    const part = await startRestartable(supervisor, spec('part', forever), keep([0], 1))
    for (let time = 0; time < 3; time += 1) {
      const before = part.pid()
      killFromOutside(before)
      await untilAnother(part, before)
      // A timer of 1 ms fires before one that is set later for 2 ms.
      await sleep(2)
    }
    expect(lines).toHaveLength(3)
    expect(await isFailed()).toBe(false)
  })

  test('stays down when it was stopped or killed on purpose, also between two starts', async () => {
    const part = await startRestartable(supervisor, spec('part', forever), keep([60_000]))
    await part.kill()
    expect([supervisor.processes, lines]).toEqual([[], []])
    await part.restart()
    killFromOutside(part.pid())
    await eventually(() => expect(lines).toHaveLength(1))
    await part.stop()
    expect(supervisor.processes).toEqual([])
    await part.restart()
    expect(isAlive(identityOf(part.pid()))).toBe(true)
  })

  test('is not started again while everything is being stopped', async () => {
    const part = await startRestartable(supervisor, spec('part', forever), keep([0]))
    stopping.abort(new Error('Ctrl-C'))
    killFromOutside(part.pid())
    await supervisor.stopAll()
    await part.stop()
    expect([supervisor.processes, lines]).toEqual([[], []])
  })
})

function killFromOutside(pid: number): void {
  process.kill(pid, 'SIGKILL')
}

async function untilAnother(part: Restartable, before: number): Promise<number> {
  return await eventually(() => {
    expect(part.pid()).not.toBe(before)
    return part.pid()
  })
}

/** Whether the supervisor has given up by now. */
async function isFailed(): Promise<boolean> {
  return await Promise.race([supervisor.failure.then(() => true), Promise.resolve(false)])
}

describe('the record of a run', () => {
  test('lets the next run stop what a killed run left behind', async () => {
    const left = spawn(node, ['-e', forever], { detached: true, stdio: 'ignore' })
    const pid = left.pid ?? 0
    const path = join(folder, 'dead.json')
    const child = { name: 'left', ...identityOf(pid) }
    await writeFile(path, JSON.stringify({ owner: dead, children: [child] }))
    expect(await endDeadRun(path)).toBe(true)
    expect(isAlive(child)).toBe(false)
  })

  test('never touches a process that merely has the same id', async () => {
    const path = join(folder, 'dead.json')
    const other = { name: 'other', pid: process.pid, started: '1' }
    await writeFile(path, JSON.stringify({ owner: dead, children: [other] }))
    expect(await endDeadRun(path)).toBe(true)
  })

  test('refuses a second run in the same folder', async () => {
    const owner = spawn(node, ['-e', forever], { stdio: 'ignore' })
    const path = join(folder, 'alive.json')
    const entry = { name: 'atelier', ...identityOf(owner.pid ?? 0) }
    await writeFile(path, JSON.stringify({ owner: entry, children: [] }))
    await expect(openRunRecord(path)).rejects.toThrow(`process ${owner.pid}`)
    expect(await endDeadRun(path)).toBe(false)
    owner.kill('SIGKILL')
  })

  test.each(['', 'not json', '{}'])('is made anew when it reads %j', async (text) => {
    const path = join(folder, 'broken.json')
    await writeFile(path, text)
    await openRunRecord(path)
    const { owner } = JSON.parse(await readFile(path, 'utf8'))
    expect(owner.pid).toBe(process.pid)
  })
})

const dead = { name: 'atelier', pid: 2 ** 30, started: '1' }
