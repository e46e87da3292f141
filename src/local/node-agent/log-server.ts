import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { closeAtOnce, listenOn } from '../../platform/http/listen.ts'
import { kubeletFiles } from '../kubelet-files.ts'
import { findLog, type LogWish, readLog } from './container-log.ts'
import { allContainers, type Pod } from './pod.ts'
import { hostIp } from './pod-status.ts'

export type LogServerOptions = {
  /** Of the kubelet's certificate, its key, and the authority of those who may ask. */
  readonly kubeletFolder: string
  readonly podsFolder: string
  /** The newest known version of a pod on one of our Nodes. */
  readonly find: (key: string) => Pod | undefined
  readonly onError: (error: unknown, pod?: string) => void
  /** Ends the server and every answer. */
  readonly signal: AbortSignal
}

const CONNECTIONS_MAX = 100

const flag = z.stringbool().default(false)
const count = z.coerce.number().int().min(0).optional()
const untimed = z.never({ error: 'the lines of this log have no times' }).optional()

/** The query of the kubelet's containerLogs: the fields of PodLogOptions. */
const wishSchema = z.object({
  follow: flag,
  previous: flag,
  tailLines: count,
  limitBytes: count,
  timestamps: untimed,
  sinceSeconds: untimed,
  sinceTime: untimed,
})

/**
 * Serves `/containerLogs/<namespace>/<pod>/<container>` of the kubelet's API for all Nodes of
 * this agent, over HTTPS and only to who shows a certificate of the authority: kube-apiserver,
 * which has checked whether the person may. Resolves with the port, which Nodes have to name.
 */
export async function startLogServer(options: LogServerOptions): Promise<number> {
  const read = (name: string) => readFileSync(join(options.kubeletFolder, name))
  const tls = {
    cert: read(kubeletFiles.certificate),
    key: read(kubeletFiles.key),
    ca: read(kubeletFiles.authority),
    requestCert: true,
    rejectUnauthorized: true,
  }
  const server = createServer(tls, (request, response) => {
    answer(request, response, options).catch((error: unknown) => {
      options.onError(error, request.url)
      response.destroy()
    })
  })
  server.maxConnections = CONNECTIONS_MAX
  options.signal.addEventListener('abort', () => void closeAtOnce(server))
  return await listenOn(server, { host: hostIp, port: 0 })
}

async function answer(
  { method, url = '/' }: IncomingMessage,
  response: ServerResponse,
  { podsFolder, find }: LogServerOptions,
): Promise<void> {
  const { pathname, searchParams } = new URL(url, 'https://node')
  const place = method === 'GET' ? placeOf(pathname) : undefined
  if (place === undefined) return refuse(response, 404, 'of the kubelet there are only logs here')
  const { key, name, container } = place
  const wish = wishSchema.safeParse(Object.fromEntries(searchParams))
  if (!wish.success) return refuse(response, 400, faultsOf(wish.error))
  const pod = find(key)
  if (pod === undefined) return refuse(response, 404, `pod "${name}" does not exist`)
  if (!allContainers(pod.spec).some((each) => each.name === container)) {
    return refuse(response, 404, `container "${container}" not found in pod "${name}"`)
  }
  const log = { ...wish.data, container }
  await send(response, { pod, folder: join(podsFolder, pod.metadata.uid), log })
}

function faultsOf({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
}

function placeOf(pathname: string) {
  const parts = pathname.split('/').map(decodeURIComponent)
  const [, root, namespace = '', name = '', container = ''] = parts
  if (root !== 'containerLogs' || parts.length !== 5) return undefined
  return { key: `${namespace}/${name}`, name, container }
}

type Answer = { readonly pod: Pod; readonly folder: string; readonly log: LogWish }

async function send(response: ServerResponse, { pod, folder, log }: Answer): Promise<void> {
  const source = findLog(pod, folder, log)
  if (typeof source === 'string') return refuse(response, 400, source)
  const over = new AbortController()
  response.once('close', () => over.abort())
  response.writeHead(200, { 'content-type': 'text/plain' }).flushHeaders()
  try {
    await pipeline(Readable.from(readLog(source, log, over.signal)), response)
  } catch (error) {
    // Who followed the log has seen enough.
    if (!over.signal.aborted) throw error
  }
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(text)
}
