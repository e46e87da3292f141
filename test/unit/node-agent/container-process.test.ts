import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  attachContainer,
  describeEnd,
  runFolder,
  startContainer,
  stopContainer,
} from '../../../src/local/node-agent/container-process.ts'
import { eventually } from '../../support/eventually.ts'
import { noon } from './builders.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'node-agent-unit-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

function start(script: string) {
  const command = ['/bin/sh', '-c', script]
  const plan = { command, environment: {}, workingFolder: folder }
  return startContainer(plan, runFolder(folder, 'main', 0))
}

describe('the process of a container', () => {
  it.each([
    ['exit 0', 0],
    ['exit 9', 9],
    ['kill -TERM $$', 143],
    ['exec /nowhere/program', 127],
  ])('ends %j with %i', async (script, exitCode) => {
    expect(await start(script).ended).toBe(exitCode)
  })

  it('is killed with its group when it does not end in its grace', async () => {
    const run = start('trap "" TERM; touch deaf; sleep 600 & wait; sleep 600')
    await eventually(() => expect(existsSync(join(folder, 'deaf'))).toBe(true))
    await stopContainer(run, 100)
    expect(await run.ended).toBe(137)
  })

  it('is known to an agent that was not its parent', async () => {
    const { process, files, ended } = start('sleep 0.1; exit 4')
    await ended
    expect(await attachContainer(process, files).ended).toBe(4)
    const stranger = { ...process, started: '1' }
    const other = runFolder(folder, 'main', 1)
    expect(await attachContainer(stranger, other).ended).toBeUndefined()
  })

  it('does not start in a folder that is not there', () => {
    const plan = { command: ['true'], environment: {}, workingFolder: '/nowhere' }
    expect(() => startContainer(plan, runFolder(folder, 'main', 0))).toThrow('/nowhere')
  })
})

const files = () => runFolder(folder, 'main', 0)
const end = (exitCode?: number) =>
  describeEnd(files(), { exitCode, startedAt: noon, nowMs: Date.parse(noon) })
function write(text: string | Buffer): void {
  mkdirSync(files().folder, { recursive: true })
  writeFileSync(files().messageFile, text)
}

describe('the end of a container', () => {
  it.each([
    [0, { exitCode: 0, reason: 'Completed' }],
    [143, { exitCode: 143, reason: 'Error' }],
    [undefined, { exitCode: 137, reason: 'ContainerLost' }],
  ])('with code %s', (exitCode, expected) => {
    expect(end(exitCode)).toEqual({ ...expected, startedAt: noon, finishedAt: noon })
  })

  it('has a message of at most 4,096 bytes, cut between characters', () => {
    write(`${'x'.repeat(4095)}é`)
    expect(end(1).message).toBe('x'.repeat(4095))
    write('y'.repeat(4097))
    expect(end(1).message).toBe('y'.repeat(4096))
    write('y'.repeat(4096))
    expect(end(1).message).toHaveLength(4096)
  })

  it('has a message within the limit when it is not text', () => {
    write(Buffer.alloc(5000, 0xff))
    expect(Buffer.byteLength(end(1).message ?? '')).toBeLessThanOrEqual(4096)
    expect(end(1).message).not.toBe('')
  })

  it('has no message when nothing was written', () => {
    write('')
    expect(end(1).message).toBeUndefined()
  })
})
