import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  containerId,
  containerOf,
  hasBegun,
  loadStatus,
  newStatus,
  runningProcess,
  saveStatus,
  withContainer,
  withoutStarts,
} from '../../../src/local/node-agent/pod-status.ts'
import type { PodStatus } from '../../../src/local/node-agent/pod.ts'
import { aContainer, aPod, anEnd, noon } from './builders.ts'

const later = '2026-01-01T13:00:00.000Z'
const running = { state: { running: { startedAt: noon } }, started: true, ready: true }
const twoContainers = { containers: [aContainer(), aContainer({ name: 'side' })] }

function aStatus(pod = aPod()): PodStatus {
  return newStatus(pod, { address: '127.20.0.1', now: noon })
}

function change(status: PodStatus, part: object, name = 'main'): PodStatus {
  return withContainer(status, { name, now: later, ...part })
}

function conditions(status: PodStatus): Record<string, string> {
  return Object.fromEntries((status.conditions ?? []).map(({ type, status: is }) => [type, is]))
}

describe('the status of a pod', () => {
  it('is pending before anything has started', () => {
    expect(aStatus()).toMatchObject({ phase: 'Pending', podIP: '127.20.0.1', startTime: noon })
    expect(containerOf(aStatus(), 'main').state).toEqual({
      waiting: { reason: 'ContainerCreating' },
    })
    expect(conditions(aStatus())).toEqual({
      Initialized: 'True',
      ContainersReady: 'False',
      Ready: 'False',
    })
  })

  it('is running and ready with a ready process', () => {
    const status = change(aStatus(), running)
    expect(status.phase).toBe('Running')
    expect(conditions(status)['Ready']).toBe('True')
  })

  it('is not ready while one of two containers is not', () => {
    const one = change(aStatus(aPod(twoContainers)), running)
    expect(conditions(change(one, { ...running, ready: false }, 'side'))['Ready']).toBe('False')
    expect(conditions(change(one, running, 'side'))['Ready']).toBe('True')
  })

  it.each([
    ['Succeeded', 0],
    ['Failed', 1],
  ])('is %s when its container has ended with %i', (phase, exitCode) => {
    const status = change(aStatus(), { state: { terminated: anEnd(exitCode) } })
    expect(status.phase).toBe(phase)
    expect(conditions(status)['Ready']).toBe('False')
  })

  it('is running while one of two containers has ended', () => {
    const status = change(aStatus(aPod(twoContainers)), { state: { terminated: anEnd(0) } })
    expect(status.phase).toBe('Running')
  })

  it('is running while its container waits for its next start', () => {
    const state = { waiting: { reason: 'CrashLoopBackOff' } }
    expect(change(aStatus(), { state, lastState: { terminated: anEnd(1) } }).phase).toBe('Running')
  })

  it('has failed for the reason for which the agent ended it, even with exit code 0', () => {
    const failure = { reason: 'Terminated', message: 'stopped' }
    const status = withoutStarts(change(aStatus(), running), { now: later, failure })
    expect(status.phase).toBe('Running')
    const over = change(status, { state: { terminated: anEnd(0) } })
    expect(over).toMatchObject({ phase: 'Failed', ...failure })
  })

  it('ends what waits when nothing shall be started any more', () => {
    const waiting = change(aStatus(aPod(twoContainers)), {
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: anEnd(3) },
    })
    const status = withoutStarts(waiting, { now: later })
    expect(status.phase).toBe('Failed')
    expect(containerOf(status, 'main').state?.terminated?.exitCode).toBe(3)
    expect(containerOf(status, 'side').state?.terminated?.reason).toBe('ContainerNotRun')
  })

  it('keeps the time of conditions that did not change', () => {
    const status = change(aStatus(), running)
    const times = new Map(status.conditions?.map((each) => [each.type, each.lastTransitionTime]))
    expect(times.get('Initialized')).toBe(noon)
    expect(times.get('Ready')).toBe(later)
  })

  it('names the process of a running container', () => {
    const process = { pid: 42, started: '1000' }
    const status = change(aStatus(), { ...running, containerID: containerId(process) })
    expect(runningProcess(containerOf(status, 'main'))).toEqual(process)
    const over = change(status, { state: { terminated: anEnd(0) } })
    expect(runningProcess(containerOf(over, 'main'))).toBeUndefined()
  })
})

function ended(exitCode: number) {
  return { state: { terminated: anEnd(exitCode) } }
}

describe('the status of a pod with a container that runs first', () => {
  const pod = aPod({ initContainers: [aContainer({ name: 'first' })] })

  it('is pending, not initialized, while that one runs', () => {
    const status = change(aStatus(pod), running, 'first')
    expect(status.phase).toBe('Pending')
    expect(conditions(status)['Initialized']).toBe('False')
    expect(hasBegun(aStatus(pod))).toBe(false)
    expect(hasBegun(status)).toBe(true)
  })

  it('is initialized when it has ended well, and goes on as any other', () => {
    const status = change(aStatus(pod), ended(0), 'first')
    expect(status.phase).toBe('Pending')
    expect(conditions(status)['Initialized']).toBe('True')
    expect(change(status, running).phase).toBe('Running')
    expect(change(status, ended(0)).phase).toBe('Succeeded')
  })

  it('has failed when it has not, and the others never ran', () => {
    const status = change(aStatus(pod), ended(1), 'first')
    expect(status.phase).toBe('Failed')
    expect(containerOf(status, 'main').state?.waiting).toBeDefined()
  })

  it('is not over before its process is, when nothing shall be started any more', () => {
    const stopping = withoutStarts(change(aStatus(pod), running, 'first'), { now: later })
    expect(stopping.phase).toBe('Pending')
    expect(change(stopping, ended(0), 'first').phase).toBe('Failed')
    expect(withoutStarts(aStatus(pod), { now: later }).phase).toBe('Failed')
  })
})

describe('a saved status', () => {
  it('is found again by the next agent, unless it is damaged or missing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'node-agent-unit-'))
    const status = change(aStatus(), running)
    saveStatus(join(folder, 'a'), status)
    expect(loadStatus(join(folder, 'a'))).toEqual(status)
    mkdirSync(join(folder, 'b'))
    writeFileSync(join(folder, 'b/status.json'), '{"phase":')
    expect(loadStatus(join(folder, 'b'))).toBeUndefined()
    expect(loadStatus(join(folder, 'c'))).toBeUndefined()
    rmSync(folder, { recursive: true })
  })
})
