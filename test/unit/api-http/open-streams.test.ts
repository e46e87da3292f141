import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { createApiMetrics } from '../../../src/api/metrics.ts'
import { createOpenStreams } from '../../../src/api/realtime/open-streams.ts'

const lifeMs = 600_000

function openStreams(limits: { readonly perUserMax?: number; readonly totalMax?: number } = {}) {
  const registry = new Registry()
  const all = { perUserMax: 2, totalMax: 3, slowReaderMs: 20, ...limits }
  const streams = createOpenStreams(all, createApiMetrics(registry))
  const endsOf = async (reason: string): Promise<number> => {
    const metrics = await registry.metrics()
    return Number(new RegExp(`reason="${reason}"} (\\d+)`).exec(metrics)?.[1] ?? 0)
  }
  return { streams, endsOf }
}

async function* count(to: number): AsyncGenerator<string, void, undefined> {
  for (let number = 1; number <= to; number += 1) yield `${number};`
}

describe('open streams', () => {
  test('pass their frames on and end with them', async () => {
    const { streams, endsOf } = openStreams()
    const seat = streams.open('u-1', { lifeMs })
    expect(await text(streams.toBody(seat, count(3)))).toBe('1;2;3;')
    expect(seat.signal.aborted).toBe(true)
    expect(await endsOf('finished')).toBe(1)
  })

  test('of one person are bounded, and so are those of all', () => {
    const { streams } = openStreams()
    const first = streams.open('u-1', { lifeMs })
    streams.open('u-1', { lifeMs })
    const limited = { code: 'rate.limited', retryAfterSeconds: 15 }
    expect(() => streams.open('u-1', { lifeMs })).toThrow(
      expect.objectContaining({ ...limited, details: { limit: 2, count: 2 } }),
    )
    streams.open('u-2', { lifeMs })
    expect(() => streams.open('u-3', { lifeMs })).toThrow(
      expect.objectContaining({ ...limited, details: { limit: 3, count: 3 } }),
    )
    first.end('finished')
    first.end('finished')
    streams.open('u-1', { lifeMs })
    expect(() => streams.open('u-1', { lifeMs })).toThrow('too many event streams')
  })

  test('are cut off when nobody takes a frame', async () => {
    const { streams, endsOf } = openStreams()
    const body = streams.toBody(streams.open('u-1', { lifeMs }), count(1_000_000))
    body.once('readable', () => {})
    await once(body, 'close')
    expect(await endsOf('slow_reader')).toBe(1)
  })

  test('let their source clean up when the reader goes away', async () => {
    const { streams, endsOf } = openStreams()
    let isClean = false
    const source = async function* (): AsyncGenerator<string, void, undefined> {
      try {
        yield* count(1_000_000)
      } finally {
        isClean = true
      }
    }
    const seat = streams.open('u-1', { lifeMs })
    const body = streams.toBody(seat, source())
    await once(body, 'readable')
    body.destroy()
    await once(body, 'close')
    expect(seat.signal.aborted).toBe(true)
    expect(isClean).toBe(true)
    expect(await endsOf('reader_gone')).toBe(1)
  })

  test('end with their token', async () => {
    const { streams, endsOf } = openStreams()
    const seat = streams.open('u-1', { lifeMs: 1 })
    await once(seat.signal, 'abort')
    expect(await endsOf('token_expired')).toBe(1)
  })

  test('end at the stop, and nobody comes in any more', () => {
    const { streams } = openStreams()
    const seat = streams.open('u-1', { lifeMs })
    streams.stop()
    expect(seat.signal.aborted).toBe(true)
    expect(() => streams.open('u-1', { lifeMs })).toThrow(
      expect.objectContaining({ code: 'platform.unavailable' }),
    )
  })
})
