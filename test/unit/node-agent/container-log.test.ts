import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findLog } from '../../../src/local/node-agent/container-log.ts'
import { runFolder } from '../../../src/local/node-agent/container-process.ts'
import { type ContainerStatus, saveStatus } from '../../../src/local/node-agent/pod-status.ts'
import { anEnd, aPod, noon } from './builders.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'node-agent-unit-'))
  for (const number of [0, 1, 2]) {
    const { folder: run, logFile } = runFolder(folder, 'main', number)
    mkdirSync(run, { recursive: true })
    writeFileSync(logFile, `run ${number}\n`)
  }
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

type Facts = Partial<Pick<ContainerStatus, 'state' | 'lastState' | 'restartCount'>>

function save(facts: Facts): void {
  const status = { name: 'main', image: 'i', imageID: '', ready: false, restartCount: 0, ...facts }
  saveStatus(folder, { phase: 'Running', containerStatuses: [status] })
}

function find(wish: { readonly previous?: boolean; readonly container?: string } = {}) {
  return findLog(aPod(), folder, { container: 'main', previous: false, follow: false, ...wish })
}

const running = { running: { startedAt: noon } }
const ended = { terminated: anEnd(1) }
const backingOff = { waiting: { reason: 'CrashLoopBackOff' } }

describe('the log of a container', () => {
  it.for<{ when: string; facts: Facts; current?: number; previous?: number }>([
    { when: 'runs for the first time', facts: { state: running }, current: 0 },
    {
      when: 'runs again',
      facts: { state: running, lastState: ended, restartCount: 2 },
      current: 2,
      previous: 1,
    },
    { when: 'has ended', facts: { state: ended }, current: 0 },
    {
      when: 'has ended again',
      facts: { state: ended, lastState: ended, restartCount: 1 },
      current: 1,
      previous: 0,
    },
    {
      when: 'waits to run again',
      facts: { state: backingOff, lastState: ended, restartCount: 1 },
      current: 1,
      previous: 1,
    },
    { when: 'has never run', facts: { state: { waiting: { reason: 'ContainerCreating' } } } },
  ])('is that of the right run: one that $when', ({ facts, current, previous }) => {
    save(facts)
    const numberOf = (source: ReturnType<typeof find>) =>
      typeof source === 'string' ? undefined : Number(source.files.folder.split('/').at(-1))
    expect([numberOf(find()), numberOf(find({ previous: true }))]).toEqual([current, previous])
  })

  it.each<[string, Facts]>([
    [
      'waiting to start: ContainerCreating',
      { state: { waiting: { reason: 'ContainerCreating' } } },
    ],
    ["waiting to start: image can't be pulled", { state: { waiting: { reason: 'ErrImagePull' } } }],
    ['waiting to start - no logs yet', {}],
    ['terminated', { state: ended, restartCount: 7 }],
  ])('is refused with the kubelet’s words: is %s', (words, facts) => {
    save(facts)
    expect(find()).toBe(`container "main" in pod "picture" is ${words}`)
  })

  it('is refused for a container that has no status', () => {
    expect(find()).toBe('container "main" in pod "picture" is not available')
    save({ state: running })
    expect(find({ container: 'other' })).toBe('container "other" in pod "picture" is not available')
  })

  it('grows no more as soon as another run has begun', () => {
    save({ state: running })
    const source = find()
    const isRunning = () => typeof source !== 'string' && source.isRunning()
    expect(isRunning()).toBe(true)
    save({ state: running, lastState: ended, restartCount: 1 })
    expect(isRunning()).toBe(false)
    rmSync(folder, { recursive: true })
    expect(isRunning()).toBe(false)
    mkdirSync(folder)
  })
})
