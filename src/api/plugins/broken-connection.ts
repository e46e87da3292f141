import type { Socket } from 'node:net'
import { AppError } from '../../shared/errors.ts'
import { problemContentType, toProblem } from './problem.ts'
import { securityHeaders } from './security-headers.ts'

type ConnectionError = Error & { readonly code?: string }

/** Bytes that are not HTTP never become a request: the answer is written to the socket itself. */
export function answerBrokenConnections(publicUrl: string) {
  const headers = Object.entries(securityHeaders(publicUrl))
  const headerLines = headers.map(([name, value]) => `${name}: ${value}`)
  return (error: ConnectionError, socket: Socket): void => answer(error, socket, headerLines)
}

function answer(error: ConnectionError, socket: Socket, headerLines: readonly string[]): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const isLarge = error.code === 'HPE_HEADER_OVERFLOW'
  const code = isLarge ? 'request.too_large' : 'request.invalid'
  const problem = toProblem(new AppError(code, 'the request is not readable HTTP'), 'none')
  const body = JSON.stringify(problem)
  const head = [
    `HTTP/1.1 ${problem.status} ${isLarge ? 'Content Too Large' : 'Bad Request'}`,
    `content-type: ${problemContentType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    ...headerLines,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
