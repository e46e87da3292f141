import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  attachContainer,
  runFolder,
  startContainer,
  stopContainer,
} from '../../../src/local/node-agent/container-process.ts'
import { childStartOf, processStartOf } from '../../../src/local/node-agent/processes.ts'
import { noon } from './builders.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'node-agent-unit-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

function start(script: string) {
  const files = runFolder(folder, 0)
  const command = ['/bin/sh', '-c', script]
  const plan = { command, environment: {}, workingFolder: folder, rewrites: [] }
  return { files, process: startContainer(plan, { files, now: () => noon }) }
}

it('can name a child that has ended before it was looked at', async () => {
  const child = spawn('true')
  // Nothing else runs in the meantime, so that nobody collects the child.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
  expect(processStartOf(child.pid ?? 0)).toBeUndefined()
  expect(childStartOf(child.pid ?? 0)).toMatch(/^\d+$/)
  await new Promise((resolve) => child.once('exit', resolve))
})

it.each([
  ['exit 0', 0],
  ['exit 9', 9],
  ['kill -TERM $$', 143],
  ['exec /nowhere/program', 127],
])('ends %j with %i', async (script, exitCode) => {
  expect(await start(script).process.ended).toEqual({ kind: 'Exited', exitCode })
})

it('is killed with its group when it does not end in its grace', async () => {
  const { process } = start('trap "" TERM; sleep 600 & wait; sleep 600')
  await stopContainer(process, 100)
  expect(await process.ended).toEqual({ kind: 'Exited', exitCode: 137 })
})

it('is known to an agent that was not its parent', async () => {
  const { process, files } = start('sleep 0.1; exit 4')
  await process.ended
  expect(await attachContainer(process.run, files).ended).toEqual({ kind: 'Exited', exitCode: 4 })
  const stranger = { ...process.run, processStart: '1' }
  const other = runFolder(folder, 1)
  expect(await attachContainer(stranger, other).ended).toEqual({ kind: 'Lost' })
})
