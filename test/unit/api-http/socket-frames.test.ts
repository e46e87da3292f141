import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import {
  createPacker,
  cursorFrame,
  type Frame,
  frameText,
  resetFrame,
} from '../../../src/api/realtime/socket-frames.ts'

/** What a reader of another make reads from the bytes. */
async function received(bytes: Buffer): Promise<readonly string[]> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', (webSocket, { socket: connection }) => {
    connection.write(bytes)
    webSocket.close()
  })
  // A server that listens on a port has an address with a port.
  const reader = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const messages: string[] = []
  reader.on('message', (data, isBinary) => {
    expect(isBinary).toBe(false)
    messages.push(Buffer.isBuffer(data) ? data.toString() : '')
  })
  const [code]: unknown[] = await once(reader, 'close')
  expect(code).toBe(1005)
  server.close()
  return messages
}

describe('a text message as a frame', () => {
  test.each([0, 1, 125, 126, 127, 65_535, 65_536, 70_000])(
    'of %i bytes is read back',
    async (size) => {
      const text = 'x'.repeat(size)
      expect(await received(frameText(Buffer.from(text)))).toEqual([text])
    },
  )

  test('counts bytes, not characters', async () => {
    const text = '결함'.repeat(60)
    expect(await received(frameText(Buffer.from(text)))).toEqual([text])
  })
})

describe('packing', () => {
  const frames = [cursorFrame('a'), resetFrame(), cursorFrame('b')]

  test('keeps messages apart and in order', async () => {
    const texts = await received(createPacker()(frames))
    expect(texts.map((text) => JSON.parse(text))).toEqual([
      { event: 'cursor', cursor: 'a' },
      { event: 'reset' },
      { event: 'cursor', cursor: 'b' },
    ])
  })

  test('makes bytes once for all who get the same, and anew for others', () => {
    const pack = createPacker()
    const first = pack(frames)
    expect(pack([...frames])).toBe(first)
    expect(pack(frames.slice(0, 2))).not.toEqual(first)
    expect(pack(frames)).toEqual(first)
    const [one]: readonly (Frame | undefined)[] = frames
    expect(one === undefined ? null : pack([one])).toBe(one?.bytes)
  })
})
