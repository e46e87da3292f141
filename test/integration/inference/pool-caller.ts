import { signRequest } from '../../../src/platform/http/request-signature.ts'
import {
  assigned,
  type Assigned,
  poolPodState,
  type PoolPodState,
} from '../../../src/shared/wire/pool.ts'

export type Answer = { readonly status: number; readonly answer: unknown }

export type PoolCaller = {
  readonly url: string
  /** A signed request, such as `GET /v1/state`. */
  readonly ask: (line: string, body?: object) => Promise<Answer>
  readonly isReady: () => Promise<boolean>
  readonly state: () => Promise<PoolPodState>
  readonly put: (
    uid: string,
    given: { attempt?: number; jobId: string; model: string; instead?: string },
  ) => Promise<Answer>
  /** Polls until the attempt is over. */
  readonly untilEnded: (uid: string, attempt?: number) => Promise<Assigned>
}

/** Says to a pool pod what a controller would, with whatever is wanted of it. */
export async function openPoolCaller(url: string, key: Uint8Array): Promise<PoolCaller> {
  const ask: PoolCaller['ask'] = async (line, body) => {
    const [method = '', target = ''] = line.split(' ')
    const text = body === undefined ? '' : JSON.stringify(body)
    const signed = { method, path: target, body: text }
    const headers = signRequest(signed, key, { nowMs: Date.now() })
    const response = await fetch(`${url}${target}`, {
      method,
      headers,
      ...(body && { body: text }),
    })
    const answer = await response.text()
    return { status: response.status, answer: answer === '' ? undefined : JSON.parse(answer) }
  }
  const state = async () => poolPodState.parse((await ask('GET /v1/state')).answer)
  const { runner } = await state()
  return {
    url,
    ask,
    state,
    isReady: async () => (await fetch(`${url}/readyz`)).ok,
    put: async (uid, given) => await ask(`PUT /v1/jobs/${uid}`, { attempt: 1, runner, ...given }),
    untilEnded: async (uid, attempt = 1) => {
      const line = `GET /v1/jobs/${uid}?attempt=${attempt}&waitSeconds=60`
      return assigned.parse((await ask(line)).answer)
    },
  }
}
