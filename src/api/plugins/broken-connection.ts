import type { Socket } from 'node:net'
import { AppError } from '../../shared/errors.ts'
import { problemContentType, toProblem } from './problem.ts'

type ConnectionError = Error & { readonly code?: string }

/** Bytes that are not HTTP never become a request: the answer is written to the socket itself. */
export function answerBrokenConnection(error: ConnectionError, socket: Socket): void {
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
    'x-content-type-options: nosniff',
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
