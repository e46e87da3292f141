import { z } from 'zod'
import type { JobRequest } from '../../src/shared/wire/job-requests.ts'
import { jobPage, type JobView, jobView } from '../../src/shared/wire/jobs.ts'
import { sessionView } from '../../src/shared/wire/sessions.ts'

const timeoutMs = 15_000

/** A signed-in person at the public REST port, as any outside client would be. */
export type RestSession = {
  readonly token: string
  readonly request: (path: string, init?: RequestInit) => Promise<Response>
  readonly submit: (request: JobRequest, idempotencyKey?: string) => Promise<JobView>
  readonly job: (id: string) => Promise<JobView>
  readonly jobs: () => Promise<readonly JobView[]>
  readonly cancel: (id: string) => Promise<Response>
}

export async function openRestSession(
  apiUrl: string,
  { email, password }: { readonly email: string; readonly password: string },
): Promise<RestSession> {
  const answer = await fetch(`${apiUrl}/v1/sessions`, post({ email, password }))
  const { accessToken: token } = sessionView
    .extend({ accessToken: z.string() })
    .parse(await readJson(answer))
  const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers)
    headers.set('authorization', `Bearer ${token}`)
    const signal = init.signal ?? AbortSignal.timeout(timeoutMs)
    return await fetch(new URL(path, apiUrl), { ...init, headers, signal })
  }
  return {
    token,
    request,
    submit: async (body, key) =>
      jobView.parse(await readJson(await request('/v1/jobs', post(body, key)))),
    job: async (id) => jobView.parse(await readJson(await request(`/v1/jobs/${id}`))),
    jobs: async () => jobPage.parse(await readJson(await request('/v1/jobs?limit=100'))).items,
    cancel: async (id) => await request(`/v1/jobs/${id}/cancel`, { method: 'POST' }),
  }
}

/** A request with a JSON body, for `RestSession.request` too. */
export function post(body: object, key?: string): RequestInit {
  const headers = { 'content-type': 'application/json' }
  return {
    method: 'POST',
    body: JSON.stringify(body),
    headers: key === undefined ? headers : { ...headers, 'idempotency-key': key },
    signal: AbortSignal.timeout(timeoutMs),
  }
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status} ${response.url}: ${text}`)
  return JSON.parse(text)
}
