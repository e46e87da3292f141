import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { z } from 'zod'
import type { LoginApi } from './login-api.ts'

export type Measured = {
  readonly signInMs: readonly number[]
  readonly profileMs: readonly number[]
  /** Answers that were no success, among those of good people: what was asked and its status. */
  readonly failed: readonly string[]
  readonly floodAnswers: ReadonlyMap<number, number>
  /** Of the api's process. */
  readonly cpuMs: number
}

const phaseMs = 15_000
const signInEveryMs = 500
const profileEveryMs = 25
/** One for each side, or good people would wait for connections here that the flood holds. */
const good = new Agent({ connections: 256, pipelining: 1 })
const bad = new Agent({ connections: 256, pipelining: 1 })
const tokenShape = z.object({ accessToken: z.string() })

type Post = {
  readonly ip: string
  readonly email: string
  readonly password: string
  readonly dispatcher: Agent
}

async function signIn({ url }: LoginApi, { ip, email, password, dispatcher }: Post) {
  const { statusCode, body } = await request(`${url}/v1/sessions`, {
    method: 'POST',
    dispatcher,
    headers: { 'content-type': 'application/json', 'x-forwarded-for': ip },
    body: JSON.stringify({ email, password }),
  })
  return { statusCode, json: await body.json() }
}

async function readProfile({ url }: LoginApi, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` }
  const { statusCode, body } = await request(`${url}/v1/users/me`, { dispatcher: good, headers })
  await body.dump()
  return statusCode
}

/**
 * One phase: good people sign in and read their profile at a steady pace, whatever the answers
 * take; beside them wrong logins with an address that was never tried, from so many places.
 */
export async function measurePhase(
  api: LoginApi,
  flood: { readonly perSecond: number; readonly places: number },
): Promise<Measured> {
  const tokens: string[] = []
  for (const user of api.users) {
    const { json } = await signIn(api, { ...user, ip: '10.9.9.9', dispatcher: good })
    tokens.push(tokenShape.parse(json).accessToken)
  }
  const signInMs: number[] = []
  const profileMs: number[] = []
  const floodAnswers = new Map<number, number>()
  const failed: string[] = []
  const timed = async (times: number[], wanted: number, ask: () => Promise<number>) => {
    const beganMs = performance.now()
    const statusCode = await ask()
    times.push(performance.now() - beganMs)
    if (statusCode !== wanted) failed.push(`${statusCode} instead of ${wanted}`)
  }
  const cpuBeforeMs = api.cpuMs()
  await Promise.all([
    every(signInEveryMs, async (turn) => {
      const person = pick(api.users, turn)
      const ip = `10.1.${Math.floor(turn / 200)}.${turn % 200}`
      await timed(
        signInMs,
        201,
        async () => (await signIn(api, { ...person, ip, dispatcher: good })).statusCode,
      )
    }),
    every(profileEveryMs, async (turn) => {
      await timed(profileMs, 200, async () => await readProfile(api, pick(tokens, turn)))
    }),
    flood.perSecond === 0
      ? Promise.resolve()
      : every(1000 / flood.perSecond, async (turn) => {
          const ip = `192.0.2.${turn % flood.places}`
          const email = `nobody-${Math.round(performance.now())}-${turn}@flood.example`
          const wish = { ip, email, password: 'not the password', dispatcher: bad }
          // 0: the connection was not even taken.
          const statusCode = await signIn(api, wish).then(
            (answer) => answer.statusCode,
            () => 0,
          )
          floodAnswers.set(statusCode, (floodAnswers.get(statusCode) ?? 0) + 1)
        }),
  ])
  const cpuMs = api.cpuMs() - cpuBeforeMs
  return { signInMs, profileMs, failed, floodAnswers, cpuMs }
}

/** Several people, or the limit of one would be what is measured. */
function pick<Item>(items: readonly Item[], turn: number): Item {
  const item = items[turn % items.length]
  if (item === undefined) throw new Error('there are no demo accounts')
  return item
}

/** Open loop: the pace does not wait for answers; the end does. */
async function every(ms: number, work: (turn: number) => Promise<void>): Promise<void> {
  const running: Promise<void>[] = []
  const beganMs = performance.now()
  for (let turn = 0; turn * ms < phaseMs; turn += 1) {
    const waitMs = beganMs + turn * ms - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    running.push(work(turn))
  }
  await Promise.all(running)
}
