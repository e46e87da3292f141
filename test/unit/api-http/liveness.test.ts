import { describe, expect, test } from 'vitest'
import { rememberSessions } from '../../../src/api/features/sessions/liveness.ts'
import type { SessionRow } from '../../../src/api/features/sessions/store.ts'

const row: SessionRow = {
  _id: 'session-1',
  userId: 'u-1',
  method: 'Password',
  refreshHash: '',
  creationTimeMs: 0,
  lastUseTimeMs: 0,
  expiresMs: 1000,
  lastEndMs: 10_000,
  ip: '',
  userAgent: '',
  endedMs: null,
  endReason: null,
  auditOutbox: [],
}

function scene() {
  const state = { row, nowMs: 0, reads: 0 }
  const find = async (): Promise<SessionRow> => {
    state.reads += 1
    return state.row
  }
  const clock = { nowMs: () => state.nowMs }
  const changes = { listen: () => ({ close: () => {} }) }
  return { state, liveness: rememberSessions({ find }, { clock, changes }) }
}

describe('whether a session lives', () => {
  test('is remembered for a while', async () => {
    const { state, liveness } = scene()
    for (const nowMs of [0, 500, 999]) {
      state.nowMs = nowMs
      expect(await liveness.ownerOf(row._id)).toBe('u-1')
    }
    expect(state.reads).toBe(1)
  })

  test('is read again once what is remembered has expired', async () => {
    const { state, liveness } = scene()
    expect(await liveness.ownerOf(row._id)).toBe('u-1')
    state.row = { ...row, expiresMs: 5000 }
    state.nowMs = 1000
    expect(await liveness.ownerOf(row._id)).toBe('u-1')
  })

  test('ends with it', async () => {
    const { state, liveness } = scene()
    state.nowMs = 1000
    expect(await liveness.ownerOf(row._id)).toBeNull()
  })
})
