import { describe, expect, it } from 'vitest'
import { podStatus } from '../../../src/local/node-agent/pod-status.ts'
import { aContainer, aPod, aRecord, aRun, anEnd, noon } from './builders.ts'

const later = '2026-01-01T13:00:00.000Z'
const surroundings = { pod: aPod(), previous: [], now: later }

function conditions(status: ReturnType<typeof podStatus>): Record<string, string> {
  return Object.fromEntries((status.conditions ?? []).map(({ type, status: is }) => [type, is]))
}

describe('podStatus', () => {
  it('is pending before anything has started', () => {
    const status = podStatus(aRecord(), surroundings)
    expect(status.phase).toBe('Pending')
    expect(status.containerStatuses?.[0]?.state).toEqual({
      waiting: { reason: 'ContainerCreating' },
    })
    expect(conditions(status)).toEqual({
      Initialized: 'True',
      ContainersReady: 'False',
      Ready: 'False',
    })
  })

  it('is running and ready with a ready process', () => {
    const main = { run: aRun, started: true, ready: true }
    const status = podStatus(aRecord({ main }), surroundings)
    expect(status).toMatchObject({ phase: 'Running', podIP: '127.20.0.1', startTime: noon })
    expect(status.containerStatuses?.[0]).toMatchObject({
      ready: true,
      started: true,
      containerID: 'process://42',
      state: { running: { startedAt: noon } },
    })
    expect(conditions(status)['Ready']).toBe('True')
  })

  it('is not ready while one of two containers is not', () => {
    const pod = aPod({ containers: [aContainer(), aContainer({ name: 'side' })] })
    const ready = { run: aRun, started: true, ready: true }
    const record = aRecord({ main: ready, side: { ...ready, ready: false } })
    const status = podStatus(record, { ...surroundings, pod })
    expect(conditions(status)['Ready']).toBe('False')
    expect(status.conditions?.at(-1)?.message).toContain('[side]')
  })

  it.each([
    ['Succeeded', anEnd(0), undefined],
    ['Failed', anEnd(1), undefined],
    ['Failed', anEnd(0), { reason: 'DeadlineExceeded', message: 'late' }],
    ['Failed', undefined, undefined],
  ])('is %s when it is over', (phase, end, failure) => {
    const record = aRecord({ main: { end } }, { isOver: true, failure })
    const status = podStatus(record, surroundings)
    expect(status.phase).toBe(phase)
    expect(status.reason).toBe(failure?.reason)
    expect(conditions(status)['Ready']).toBe('False')
  })

  it('does not tell why it will fail before it is over', () => {
    const failure = { reason: 'Terminated', message: 'stopped' }
    const status = podStatus(aRecord({ main: { run: aRun } }, { failure }), surroundings)
    expect(status).toMatchObject({ phase: 'Running' })
    expect(status.reason).toBeUndefined()
  })

  it('shows a restarted container with its last end', () => {
    const record = aRecord({ main: { run: aRun, end: anEnd(3), restarts: 1 } })
    expect(podStatus(record, surroundings).containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { running: {} },
      lastState: { terminated: { exitCode: 3 } },
    })
  })

  it('stays pending while init containers run, and says so', () => {
    const pod = aPod({ initContainers: [aContainer({ name: 'first' })] })
    const status = podStatus(aRecord({ first: { run: aRun } }), { ...surroundings, pod })
    expect(status.phase).toBe('Pending')
    expect(status.containerStatuses?.[0]?.state?.waiting?.reason).toBe('PodInitializing')
    expect(conditions(status)['Initialized']).toBe('False')
  })

  it('keeps the time of conditions that did not change', () => {
    const previous = [
      { type: 'Ready', status: 'False', lastTransitionTime: noon },
      { type: 'Initialized', status: 'False', lastTransitionTime: noon },
    ]
    const times = podStatus(aRecord(), { ...surroundings, previous }).conditions
    expect(times?.find(({ type }) => type === 'Ready')?.lastTransitionTime).toBe(noon)
    expect(times?.find(({ type }) => type === 'Initialized')?.lastTransitionTime).toBe(later)
  })
})
