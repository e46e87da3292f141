import { describe, expect, it } from 'vitest'
import { WaitingKeys } from '../../../../src/platform/kube/waiting-keys.ts'

/** `a1` is of the group `a`; `!1` is of none. */
function waitingOf(...keys: readonly string[]): WaitingKeys {
  const waiting = new WaitingKeys()
  for (const [sinceMs, key] of keys.entries()) add(waiting, key, sinceMs)
  return waiting
}

function add(waiting: WaitingKeys, key: string, sinceMs = 0): void {
  waiting.add({ key, sinceMs }, key.startsWith('!') ? undefined : key[0])
}

function takeAll(waiting: WaitingKeys, mayRun: (key: string) => boolean = () => true): string[] {
  const taken: string[] = []
  for (let next = waiting.take(mayRun); next !== undefined; next = waiting.take(mayRun)) {
    taken.push(next.key)
  }
  return taken
}

describe('keys that wait', () => {
  it('go in order within their group, and groups take turns', () => {
    const waiting = waitingOf('a1', 'a2', 'a3', 'b1', 'b2', 'c1')
    expect(takeAll(waiting)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
    expect(waiting.size).toBe(0)
  })

  it('do not wait for the thousands of others that came before them', () => {
    const waiting = waitingOf(...Array.from({ length: 9000 }, (_, index) => `a${index}`), 'b1')
    expect(takeAll(waiting).indexOf('b1')).toBe(1)
  })

  it('go first without a group, three to one of the others', () => {
    const waiting = waitingOf('a1', 'a2', '!1', '!2', '!3', '!4', '!5')
    expect(takeAll(waiting)).toEqual(['!1', '!2', '!3', 'a1', '!4', '!5', 'a2'])
  })

  it('are there once, and keep their place', () => {
    const waiting = waitingOf('a1', 'a2', 'a1')
    expect(waiting.size).toBe(2)
    expect(waiting.take(() => true)).toEqual({ key: 'a1', sinceMs: 0 })
  })

  it('go ahead when they belong to no group any more, and stay there', () => {
    const waiting = waitingOf('a1', 'a2')
    waiting.add({ key: 'a2', sinceMs: 9 }, undefined)
    waiting.add({ key: 'a2', sinceMs: 9 }, 'a')
    expect(waiting.size).toBe(2)
    expect(waiting.take(() => true)).toEqual({ key: 'a2', sinceMs: 1 })
    expect(takeAll(waiting)).toEqual(['a1'])
  })

  it('that may not run keep their place, and the turn goes to another group', () => {
    const waiting = waitingOf('a1', 'b1', '!1')
    expect(takeAll(waiting, (key) => key === 'b1')).toEqual(['b1'])
    expect(takeAll(waiting)).toEqual(['!1', 'a1'])
  })

  it('are forgotten all at once', () => {
    const waiting = waitingOf('a1', '!1')
    waiting.clear()
    expect(waiting.size).toBe(0)
    expect(takeAll(waiting)).toEqual([])
  })
})
