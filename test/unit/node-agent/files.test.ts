import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockFolder } from '../../../src/local/node-agent/agent-lock.ts'
import {
  describeEnd,
  readExitCode,
  terminationMessage,
} from '../../../src/local/node-agent/container-end.ts'
import {
  loadRecords,
  lostRecord,
  podFolder,
  saveRecord,
  withContainer,
} from '../../../src/local/node-agent/pod-record.ts'
import { processStartOf } from '../../../src/local/node-agent/processes.ts'
import { aPod, aRecord, aRun, noon } from './builders.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'node-agent-unit-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

function put(name: string, text: string | Buffer): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

function message(files: { messageFile: string; logFile?: string }, policy?: string) {
  const all = { logFile: join(folder, 'none'), ...files }
  return terminationMessage(all, { policy, exitCode: 1 })
}

describe('the end of a container', () => {
  const times = { startedAt: noon, finishedAt: noon }
  it.each([
    [{ kind: 'Exited', exitCode: 0 } as const, { exitCode: 0, reason: 'Completed' }],
    [{ kind: 'Exited', exitCode: 143 } as const, { exitCode: 143, reason: 'Error' }],
    [{ kind: 'Lost' } as const, { exitCode: 137, reason: 'ContainerLost' }],
  ])('of %j', (outcome, expected) => {
    expect(describeEnd(outcome, times, undefined)).toEqual({ ...expected, ...times })
  })

  it.each([
    ['7\n', 7],
    ['255', 255],
    ['', undefined],
    ['x', undefined],
    ['-1', undefined],
  ])('reads the recorded code %j', (text, expected) => {
    expect(readExitCode(put('exit', text))).toBe(expected)
  })

  it('has no code when nobody recorded one', () => {
    expect(readExitCode(join(folder, 'none'))).toBeUndefined()
  })
})

describe('the termination message', () => {
  it('is cut at 4,096 bytes, between characters', () => {
    const text = `${'x'.repeat(4095)}é`
    expect(message({ messageFile: put('m', text) })).toBe('x'.repeat(4095))
    expect(message({ messageFile: put('m', 'y'.repeat(4097)) })).toBe('y'.repeat(4096))
    expect(message({ messageFile: put('m', 'y'.repeat(4096)) })).toHaveLength(4096)
  })

  it('stays within its limit when it is not text', () => {
    const text = message({ messageFile: put('m', Buffer.alloc(5000, 0xff)) })
    expect(Buffer.byteLength(text ?? '')).toBeLessThanOrEqual(4096)
  })

  it('is absent without a file, or empty without the policy', () => {
    const logFile = put('log', 'words')
    expect(message({ messageFile: join(folder, 'no') })).toBeUndefined()
    expect(message({ messageFile: put('m', ''), logFile })).toBeUndefined()
  })

  it('is the end of the log with FallbackToLogsOnError', () => {
    const logFile = put('log', `${'a'.repeat(3000)}end`)
    const text = message({ messageFile: put('m', ''), logFile }, 'FallbackToLogsOnError')
    expect(text).toHaveLength(2048)
    expect(text?.endsWith('aend')).toBe(true)
  })
})

describe('records', () => {
  it('are found again by the next agent', () => {
    const record = aRecord({ main: { run: aRun } })
    mkdirSync(podFolder(folder, record.uid))
    saveRecord(folder, record)
    expect(loadRecords(folder)).toEqual([record])
  })

  it('that are damaged or missing are left out', () => {
    mkdirSync(join(folder, 'a'))
    mkdirSync(join(folder, 'b'))
    put('b/record.json', '{"uid": 1}')
    expect(loadRecords(folder)).toEqual([])
    expect(loadRecords(join(folder, 'none'))).toEqual([])
  })

  it('change one container and keep the others', () => {
    const record = aRecord({ main: { run: aRun }, side: { restarts: 2 } })
    const changed = withContainer(record, 'main', { run: undefined, ready: false })
    expect(changed.containers['side']?.restarts).toBe(2)
    expect(changed.containers['main']?.run).toBeUndefined()
    expect(record.containers['main']?.run).toBe(aRun)
  })

  it('of a lost pod never say that it runs', () => {
    const record = lostRecord(aPod(), noon)
    expect(record).toMatchObject({ isOver: true, failure: { reason: 'NodeRestarted' } })
    expect(record.containers['main']?.end?.reason).toBe('ContainerLost')
  })
})

describe('the lock of the data folder', () => {
  it('refuses a second agent and is free after the first', () => {
    const unlock = lockFolder(folder)
    expect(() => lockFolder(folder)).toThrow('another node agent')
    unlock()
    lockFolder(folder)()
  })

  it('of an agent that was killed holds nobody back', () => {
    put('agent.lock', `${process.pid} 1`)
    expect(processStartOf(process.pid)).not.toBe('1')
    lockFolder(folder)()
  })
})
