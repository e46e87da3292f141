import { get as getPlain } from 'node:http'
import { get as getSecure } from 'node:https'
import { connect } from 'node:net'

export type AskOptions = {
  readonly signal: AbortSignal
  readonly tls?: { readonly ca: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
}

/** True when the address answers with status 200. Rejects when nobody answers. */
export function answersOk(url: string, { signal, tls }: AskOptions): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const get = url.startsWith('https:') ? getSecure : getPlain
    const request = get(url, { ...tls, signal, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.once('error', reject)
  })
}

/** True when the reply to one line of text begins as expected. */
export function repliesWith(options: {
  readonly port: number
  readonly line: string
  readonly expected: string
  readonly signal: AbortSignal
}): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: options.port, signal: options.signal })
    socket.once('error', reject)
    socket.once('connect', () => socket.write(`${options.line}\r\n`))
    socket.once('data', (bytes) => {
      socket.destroy()
      resolve(bytes.toString('utf8').startsWith(options.expected))
    })
    socket.once('close', () => resolve(false))
  })
}
