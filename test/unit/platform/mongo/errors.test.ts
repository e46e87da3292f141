import { mongo } from 'mongoose'
import { describe, expect, test } from 'vitest'
import { reach } from '../../../../src/platform/mongo/errors.ts'

async function outcomeOf(error: unknown): Promise<unknown> {
  try {
    return await reach(() => {
      throw error
    })
  } catch (caught) {
    return caught
  }
}

function coded(code: string): Error {
  return Object.assign(new Error('from a socket'), { code })
}

describe('a request to the database', () => {
  test.each([
    ['the connection broke', new mongo.MongoNetworkError('closed')],
    ['the other end had closed before the write', coded('EPIPE')],
    ['the other end reset the connection', coded('ECONNRESET')],
    ['the socket was destroyed', coded('ERR_STREAM_DESTROYED')],
  ])('is unavailable when %s', async (_, error) => {
    expect(await outcomeOf(error)).toMatchObject({ code: 'platform.unavailable', cause: error })
  })

  test.each([
    ['an error of the server', new mongo.MongoServerError({ message: 'no' })],
    ['a bug', new TypeError('of undefined')],
    ['another system error', coded('ENOENT')],
  ])('hands on %s as it is', async (_, error) => {
    expect(await outcomeOf(error)).toBe(error)
  })
})
