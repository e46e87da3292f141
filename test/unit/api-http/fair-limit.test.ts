import { describe, expect, test } from 'vitest'
import { createFairLimit } from '../../../src/api/features/sessions/fair-limit.ts'

const settled = async () => await new Promise<void>((resolve) => setImmediate(resolve))

/** Work whose end the test decides, in the order in which it began. */
function stage(limits: Parameters<typeof createFairLimit>[0]) {
  const limit = createFairLimit(limits)
  const began: string[] = []
  const ends: (() => void)[] = []
  const refused: string[] = []
  const send = (from: string, name = from): void => {
    const work = async () => {
      began.push(name)
      await new Promise<void>((resolve) => ends.push(resolve))
    }
    limit.run(from, work).catch(() => refused.push(name))
  }
  const endOne = async () => {
    ends.shift()?.()
    await settled()
  }
  return { limit, send, began, refused, endOne }
}

const limits = { concurrentMax: 1, waitingMax: 10, waitingPerSenderMax: 3 }

describe('a fair limit', () => {
  test('runs so much at once, and what waits in turns between senders', async () => {
    const { send, began, endOne } = stage(limits)
    for (const name of ['a1', 'a2', 'a3']) send('a', name)
    for (const name of ['b1', 'b2', 'b3']) send('b', name)
    await settled()
    for (let turn = 0; turn < 6; turn += 1) await endOne()
    expect(began).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'b3'])
  })

  test('lets somebody who comes seldom go before all who had a turn lately', async () => {
    const { send, began, endOne } = stage(limits)
    const many = ['a', 'b', 'c', 'd']
    for (const from of many) send(from)
    await settled()
    for (let turn = 0; turn < 4; turn += 1) await endOne()
    for (const from of many) send(from)
    send('somebody')
    await settled()
    await endOne()
    expect(began.slice(4)).toEqual(['a', 'somebody'])
  })

  test('does not hold against a sender what was right', async () => {
    const { limit, send, began, endOne } = stage(limits)
    for (const name of ['a1', 'a2', 'a3']) send('a', name)
    await settled()
    for (let turn = 0; turn < 3; turn += 1) await endOne()
    send('x')
    for (const from of ['b', 'a']) send(from)
    limit.forgive('a')
    await settled()
    for (let turn = 0; turn < 2; turn += 1) await endOne()
    expect(began.slice(3)).toEqual(['x', 'a', 'b'])
  })

  test('refuses what one sender sends too much, and nobody else’s', async () => {
    const { send, began, refused, endOne } = stage(limits)
    for (let index = 0; index < 20; index += 1) send('a')
    send('b')
    await settled()
    expect(refused).toHaveLength(16)
    await endOne()
    expect(began).toEqual(['a', 'b'])
  })

  test('where the list is full, refuses whose turn is furthest away', async () => {
    const { send, began, refused, endOne } = stage({ ...limits, waitingMax: 3 })
    for (const name of ['a1', 'a2', 'a3', 'a4']) send('a', name)
    send('b')
    await settled()
    expect(refused).toEqual(['a4'])
    await endOne()
    expect(began).toEqual(['a1', 'b'])
  })

  test('says what was too much', async () => {
    const limit = createFairLimit({ ...limits, waitingMax: 2 })
    const begin = async (from: string) => await limit.run(from, async () => await settled())
    const all = await Promise.allSettled(['a', 'a', 'a', 'b', 'a'].map(begin))
    const refused = all.filter(({ status }) => status === 'rejected')
    expect(refused).toMatchObject([
      { reason: { code: 'rate.limited', details: { limit: 2, count: 3 } } },
      { reason: { code: 'rate.limited', details: { limit: 2, count: 3 } } },
    ])
    const own = createFairLimit({ ...limits, waitingPerSenderMax: 0 })
    const first = own.run('a', settled)
    await expect(own.run('a', settled)).rejects.toMatchObject({ details: { limit: 0, count: 1 } })
    await first
  })

  test('gives the place back when the work fails', async () => {
    const limit = createFairLimit(limits)
    const failing = limit.run('a', async () => await Promise.reject(new Error('no')))
    await expect(failing).rejects.toThrow('no')
    await expect(limit.run('a', async () => 'next')).resolves.toBe('next')
  })

  test('forgets a sender that was silent for long without harm', async () => {
    const limit = createFairLimit({ ...limits, concurrentMax: 2 })
    for (let index = 0; index < 10_100; index += 1) {
      await limit.run(`sender ${index}`, async () => index)
    }
    await expect(limit.run('sender 1', async () => 'again')).resolves.toBe('again')
  })
})
