import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { ClientSocket, type SocketLimits } from '../../../src/api/realtime/client-socket.ts'
import {
  createPacker,
  cursorFrame,
  type Frame,
  frameText,
  helloFrame,
} from '../../../src/api/realtime/socket-frames.ts'
import { eventually } from '../../support/eventually.ts'

const limits: SocketLimits = {
  waitingBytesMax: 100_000,
  progressWaitingBytesMax: 10_000,
  stuckMsMax: 1000,
  heartbeatMs: 15_000,
}
const caller = { userId: 'u-x', role: 'department_member', department: 'quality' } as const

const servers: WebSocketServer[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    for (const client of server.clients) client.terminate()
    server.close()
  }
})

/** Both ends of a real connection. */
async function connect(): Promise<{ readonly socket: ClientSocket; readonly reader: WebSocket }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  servers.push(server)
  await once(server, 'listening')
  // A server that listens on a port has an address with a port.
  const { port } = server.address() as AddressInfo
  const accepted = new Promise<ClientSocket>((resolve) => {
    server.on('connection', (webSocket, { socket: connection }) => {
      const parts = { caller, webSocket, connection, limits, nowMs: 0 }
      resolve(new ClientSocket({ ...parts, pack: createPacker(), onSent: () => undefined }))
    })
  })
  const reader = new WebSocket(`ws://127.0.0.1:${port}`)
  await once(reader, 'open')
  return { socket: await accepted, reader }
}

function textsOf(reader: WebSocket): readonly string[] {
  const texts: string[] = []
  reader.on('message', (data) => texts.push(Buffer.isBuffer(data) ? data.toString() : ''))
  return texts
}

function frame(key: string, number: number, { size = 10, isProgress = false } = {}): Frame {
  const text = `${key}:${number}`.padEnd(size, '.')
  return { key, number, isProgress, bytes: frameText(Buffer.from(text)) }
}

/** Writes until the kernel takes no more. */
async function fill(socket: ClientSocket): Promise<void> {
  let isFull = false
  for (let count = 0; count < 2000 && !isFull; count += 1) {
    socket.enqueue(frame('filling', count, { size: 90_000 }))
    socket.flush()
    isFull = await Promise.race([
      socket.drained().then(() => false),
      new Promise<boolean>((resolve) => setTimeout(resolve, 100, true)),
    ])
  }
  expect(isFull).toBe(true)
}

describe('a socket', () => {
  test('says hello first, whatever was told to it before', async () => {
    const { socket, reader } = await connect()
    const texts = textsOf(reader)
    socket.enqueue(cursorFrame('later'))
    socket.flush()
    socket.greet(helloFrame('now', 15))
    await eventually(() => expect(texts).toHaveLength(2))
    expect(texts.map((text) => JSON.parse(text).event)).toEqual(['hello', 'cursor'])
  })

  test('keeps only the newest of everything while its reader is slow', async () => {
    const { socket, reader } = await connect()
    const texts = textsOf(reader)
    socket.greet(helloFrame('now', 15))
    await eventually(() => expect(texts).toHaveLength(1))
    reader.pause()
    await fill(socket)
    for (const number of [3, 5, 4]) socket.enqueue(frame('job a', number))
    socket.enqueue(frame('job b', 1))
    socket.flush()
    expect(socket.isOpen).toBe(true)
    reader.resume()
    await eventually(() => expect(texts.at(-1)).toBe('job b:1...'))
    expect(texts.filter((text) => text.startsWith('job a'))).toEqual(['job a:5...'])
  })

  test('leaves progress out when much waits, and takes no more than may wait', async () => {
    const { socket, reader } = await connect()
    const texts = textsOf(reader)
    socket.greet(helloFrame('now', 15))
    await eventually(() => expect(texts).toHaveLength(1))
    reader.pause()
    await fill(socket)
    socket.enqueue(frame('job a', 1, { size: 50_000 }))
    socket.enqueue(frame('progress b', 1, { isProgress: true, size: 90_000 }))
    expect(socket.hasMissed).toBe(false)
    expect(socket.enqueue(frame('job b', 1, { size: 60_000 }))).toBe(false)
    expect([socket.isOpen, socket.hasMissed]).toEqual([true, true])
    reader.resume()
    await socket.deliver(frame('job b', 1, { size: 60_000 }))
    await eventually(() => expect(texts.at(-1)).toMatch(/^job b/))
    expect(texts.filter((text) => text.startsWith('job a'))).toHaveLength(1)
    expect(texts.filter((text) => text.startsWith('progress'))).toEqual([])
  })

  test('delivers much to who reads, whoever tells it at the same time', async () => {
    const { socket, reader } = await connect()
    const texts = textsOf(reader)
    const tellAll = async (name: string): Promise<void> => {
      for (let count = 0; count < 20; count += 1) {
        await socket.deliver(frame(`${name}${count}`, 1, { size: 90_000 }))
      }
    }
    const told = Promise.all([tellAll('a'), tellAll('b')])
    socket.greet(helloFrame('now', 15))
    await told
    await eventually(() => expect(texts).toHaveLength(41))
    expect(socket.hasMissed).toBe(false)
  })

  test('keeps nobody waiting when it ends', async () => {
    const { socket } = await connect()
    const delivered = socket.deliver(frame('job a', 1))
    socket.close('server_stop')
    await expect(delivered).resolves.toBeUndefined()
  })

  test('ends when its reader takes nothing for long, not before', async () => {
    const { socket, reader } = await connect()
    socket.greet(helloFrame('now', 15))
    reader.pause()
    await fill(socket)
    socket.tend(5000)
    socket.tend(6000)
    expect(socket.isOpen).toBe(true)
    socket.tend(6001)
    expect(socket.end).toBe('slow_reader')
  })

  test('ends when two pings go unanswered', async () => {
    const { socket, reader } = await connect()
    socket.greet(helloFrame('now', 15))
    const answered = Promise.all([...(servers[0]?.clients ?? [])].map((one) => once(one, 'pong')))
    socket.tend(15_000)
    await answered
    socket.tend(30_000)
    expect(socket.isOpen).toBe(true)
    reader.pause()
    socket.tend(44_999)
    expect(socket.isOpen).toBe(true)
    socket.tend(45_000)
    expect(socket.end).toBe('dead_peer')
  })

  test('ends for the first reason', async () => {
    const { socket, reader } = await connect()
    socket.close('access_changed')
    socket.close('server_stop')
    const [code, reason]: unknown[] = await once(reader, 'close')
    expect([code, String(reason)]).toEqual([4401, 'access_changed'])
  })
})
