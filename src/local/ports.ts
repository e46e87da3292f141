import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { AppError } from '../shared/errors.ts'

/** What each port is for, in the order of their numbers from the base on. */
const purposes = {
  api: 'the public REST API',
  apiInternal: 'the internal port of the api',
  apiMetrics: 'health and metrics of the api',
  controllerMetrics: 'health and metrics of the controller',
  nodeAgentMetrics: 'health and metrics of the node agent',
  kubernetes: 'kube-apiserver',
  etcd: 'etcd',
  controllers: 'kube-controller-manager',
  scheduler: 'kube-scheduler',
  mongodb: 'the MongoDB protocol',
  postgres: 'PostgreSQL under the MongoDB protocol',
  redis: 'Redis',
  smtp: 'the mail catcher',
  controllerQueue: 'the controller’s answers about its queue',
} as const

export type PortName = keyof typeof purposes
export type Ports = Readonly<Record<PortName, number>>

const portCount = Object.keys(purposes).length
/** Below the range from which systems take the ports of outgoing connections. */
const portRange = { min: 12_000, max: 32_000 } as const
const attemptsMax = 1000

/** `base`, base + 1, …: the same at each start. */
export function fixedPorts(base: number): Ports {
  return portsFrom((index) => base + index)
}

/** Free ones, for tests. All are held at once, so that none is given twice. */
export async function freePorts(): Promise<Ports> {
  const servers: Server[] = []
  for (let attempt = 0; servers.length < portCount && attempt < attemptsMax; attempt += 1) {
    const port = randomInt(portRange.min, portRange.max)
    const server = await listen(port).catch(() => undefined)
    if (server !== undefined) servers.push(server)
  }
  const numbers = servers.map(numberOf)
  await Promise.all(servers.map(close))
  return portsFrom((index) => numbers[index] ?? 0)
}

/** @throws AppError platform.misconfigured naming each port in use and what it is for. */
export async function checkPorts(ports: Ports, used: readonly PortName[]): Promise<void> {
  const taken: string[] = []
  for (const name of used) {
    const server = await listen(ports[name]).catch(() => undefined)
    if (server === undefined) taken.push(`${ports[name]} (${purposes[name]})`)
    else await close(server)
  }
  if (taken.length === 0) return
  throw new AppError(
    'platform.misconfigured',
    `In use on 127.0.0.1: port ${taken.join(', port ')}. ` +
      `End the program that listens there, or choose ${portCount} other ports in a row ` +
      'with ATELIER_PORT_BASE=NUMBER.',
  )
}

function portsFrom(numberAt: (index: number) => number): Ports {
  return {
    api: numberAt(0),
    apiInternal: numberAt(1),
    apiMetrics: numberAt(2),
    controllerMetrics: numberAt(3),
    nodeAgentMetrics: numberAt(4),
    kubernetes: numberAt(5),
    etcd: numberAt(6),
    controllers: numberAt(7),
    scheduler: numberAt(8),
    mongodb: numberAt(9),
    postgres: numberAt(10),
    redis: numberAt(11),
    smtp: numberAt(12),
    controllerQueue: numberAt(13),
  }
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server))
  })
}

function numberOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()))
}
