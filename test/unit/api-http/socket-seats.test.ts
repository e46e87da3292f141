import { Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createSocketSeats } from '../../../src/api/realtime/socket-seats.ts'

function refusal(limit: number): unknown {
  const details = { limit, count: limit }
  return expect.objectContaining({ code: 'rate.limited', details, retryAfterSeconds: 15 })
}

describe('seats of sockets', () => {
  test('are bounded for one person and for all, and the refusal says by how much', () => {
    const seats = createSocketSeats({ perUserMax: 2, totalMax: 3 })
    const release = seats.take('u-1', new Socket())
    seats.take('u-1', new Socket())
    expect(() => seats.take('u-1', new Socket())).toThrow(refusal(2))
    seats.take('u-2', new Socket())
    expect(() => seats.take('u-3', new Socket())).toThrow(refusal(3))
    release()
    release()
    seats.take('u-3', new Socket())
    expect(() => seats.take('u-3', new Socket())).toThrow(refusal(3))
  })

  test('come back with the end of the connection', () => {
    const seats = createSocketSeats({ perUserMax: 1, totalMax: 1 })
    const connection = new Socket()
    seats.take('u-1', connection)
    connection.emit('close')
    expect(() => seats.take('u-2', new Socket())).not.toThrow()
  })
})
