import type { Server } from 'node:http'
import { AppError } from '../../shared/errors.ts'
import type { ListenAddress } from '../config/fields.ts'

/** The port that was really taken. @throws AppError platform.misconfigured when it is in use. */
export async function listenOn(server: Server, { host, port }: ListenAddress): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `cannot listen on ${host}:${port}: ${cause.message}`
      reject(new AppError('platform.misconfigured', message, { cause }))
    })
    server.listen({ host, port }, resolve)
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

/** Ends every connection, also those on which an answer is on its way. */
export async function closeAtOnce(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

/** As it stands in a URL. */
export function addressText({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
