import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import {
  internalPrefix,
  type Progress,
  uploads,
  type Uploads,
  type UploadsRequest,
  work,
  type Work,
} from '../../shared/wire/internal.ts'
import { InternalApiError } from './internal-api-error.ts'
import { parseRequest } from './parse-request.ts'

export type Attempt = { readonly jobId: string; readonly number: number }

export type InternalApiOptions = {
  readonly baseUrl: string
  /** Kubernetes replaces the token in the file before it expires, so it is read at each use. */
  readonly tokenFile: string
  readonly attempt: Attempt
  readonly timeoutMs: number
}

/** The calls of a job pod to the api's internal port. Each throws InternalApiError on ≥ 400. */
export type InternalApi = {
  readonly work: (signal: AbortSignal) => Promise<Work>
  readonly uploads: (request: UploadsRequest, signal: AbortSignal) => Promise<Uploads>
  readonly progress: (progress: Progress, signal: AbortSignal) => Promise<void>
  /** Takes the JSON text itself: its digest is in the termination message. */
  readonly report: (body: string, signal: AbortSignal) => Promise<void>
  readonly put: (upload: PutRequest, signal: AbortSignal) => Promise<void>
  /** Follows a signed link; an object of another size than announced is refused unread. */
  readonly get: (object: GetRequest, signal: AbortSignal) => Promise<Uint8Array>
}

export type PutRequest = {
  readonly url: string
  readonly bytes: Uint8Array
  readonly contentType: string
}

export type GetRequest = { readonly url: string; readonly sizeBytes: number }

const problemCode = z.object({ code: z.string().optional(), detail: z.string().optional() })

export function openInternalApi(options: InternalApiOptions): InternalApi {
  const { jobId, number } = options.attempt
  const base = `${options.baseUrl}${internalPrefix}/jobs/${jobId}/attempts/${number}`

  async function call(
    path: string,
    request: { readonly body?: string; readonly signal: AbortSignal },
  ): Promise<unknown> {
    const token = (await readFile(options.tokenFile, 'utf8')).trim()
    const response = await fetch(`${base}/${path}`, {
      method: request.body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(request.body !== undefined && { body: request.body }),
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(options.timeoutMs)]),
    })
    const text = await response.text()
    if (!response.ok) throw errorOf(response.status, text)
    return text === '' ? undefined : JSON.parse(text)
  }

  return {
    work: async (signal) => parseRequest(work, await call('work', { signal })),
    uploads: async (request, signal) =>
      uploads.parse(await call('uploads', { body: JSON.stringify(request), signal })),
    progress: async (progress, signal) => {
      await call('progress', { body: JSON.stringify(progress), signal })
    },
    report: async (body, signal) => {
      await call('report', { body, signal })
    },
    put: (upload, signal) => putObject(upload, { signal, timeoutMs: options.timeoutMs }),
    get: (object, signal) => getObject(object, { signal, timeoutMs: options.timeoutMs }),
  }
}

type CallLimits = { readonly signal: AbortSignal; readonly timeoutMs: number }

async function getObject(
  { url, sizeBytes }: GetRequest,
  { signal, timeoutMs }: CallLimits,
): Promise<Uint8Array> {
  const response = await fetch(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  })
  if (!response.ok) throw errorOf(response.status, await response.text())
  const bytes = new Uint8Array(sizeBytes)
  let read = 0
  for await (const chunk of response.body ?? []) {
    if (read + chunk.length > sizeBytes) throw wrongSize(sizeBytes)
    bytes.set(chunk, read)
    read += chunk.length
  }
  if (read < sizeBytes) throw wrongSize(sizeBytes)
  return bytes
}

function wrongSize(sizeBytes: number): Error {
  return new Error(`the object store sent another number of bytes than the announced ${sizeBytes}`)
}

/** The URL itself is the permission: no token goes to the object store. */
async function putObject(upload: PutRequest, limits: CallLimits): Promise<void> {
  const response = await fetch(upload.url, {
    method: 'PUT',
    headers: { 'content-type': upload.contentType },
    // A copy with a plain buffer below it, which is what fetch's types take.
    body: Uint8Array.from(upload.bytes),
    signal: AbortSignal.any([limits.signal, AbortSignal.timeout(limits.timeoutMs)]),
  })
  const text = await response.text()
  if (!response.ok) throw errorOf(response.status, text)
}

function errorOf(status: number, text: string): InternalApiError {
  const parsed = problemCode.safeParse(parseOrNothing(text))
  const { code, detail } = parsed.success ? parsed.data : {}
  return new InternalApiError({ status, code, detail: detail ?? text.slice(0, 200) })
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
