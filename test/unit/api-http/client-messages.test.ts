import { describe, expect, test } from 'vitest'
import { createMessageIntake } from '../../../src/api/realtime/client-messages.ts'

const limits = { messagesMax: 3, messageEveryMs: 500 }
const watch = Buffer.from('{"type":"watch","jobs":[]}')

function atTime() {
  let nowMs = 1000
  const clock = { nowMs: () => nowMs }
  return { intake: createMessageIntake(limits, clock), pass: (ms: number) => (nowMs += ms) }
}

describe('messages of a client', () => {
  test('may come in a burst and then only so often', () => {
    const { intake, pass } = atTime()
    const endAt = () => intake(watch, false).end
    expect([endAt(), endAt(), endAt(), endAt()]).toEqual([
      undefined,
      undefined,
      undefined,
      'too_many_messages',
    ])
    pass(499)
    expect(endAt()).toBe('too_many_messages')
    pass(1)
    expect(endAt()).toBe(undefined)
    expect(endAt()).toBe('too_many_messages')
    pass(3_600_000)
    expect([endAt(), endAt(), endAt(), endAt()].at(-1)).toBe('too_many_messages')
  })

  test('that cannot be read count as well', () => {
    const { intake } = atTime()
    const ends = ['{', 'null', '[]', '{}'].map((text) => intake(Buffer.from(text), false).end)
    expect(ends).toEqual(['not_json', 'not_understood', 'not_understood', 'too_many_messages'])
  })

  test('do not bring more time when the clock is put back', () => {
    const { intake, pass } = atTime()
    for (let count = 0; count < 3; count += 1) intake(watch, false)
    pass(-10_000)
    expect(intake(watch, false).end).toBe('too_many_messages')
  })
})
