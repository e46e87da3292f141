import { readFile } from 'node:fs/promises'
import { Agent, request } from 'undici'
import type { z } from 'zod'
import type { KubeClient } from '../../../platform/kube/client.ts'
import type { Clock } from '../../../shared/clock.ts'
import {
  type ExplainAnswer,
  explainAnswer,
  type ExplainRequest,
  queuePrefix,
  type SimulateAnswer,
  simulateAnswer,
  type SimulateRequest,
} from '../../../shared/wire/queue.ts'
import { type LeaderAddress, openLeaderAddress } from './leader-address.ts'

/**
 * What became of a question. `Absent`: no controller leads. `Paused`: the last question failed a
 * moment ago. `Busy`: it can answer soon (503). `Refused`: with any other status but 200. `Silent`:
 * no answer came in time, or at all.
 */
export type LeaderOutcome =
  | 'Answered'
  | 'Absent'
  | 'Paused'
  | 'Busy'
  | 'Refused'
  | 'Silent'
  | 'Garbled'

/** The controller that leads. Null for whatever keeps it from answering: nothing depends on it. */
export type Leader = {
  readonly explain: (question: ExplainRequest) => Promise<ExplainAnswer | null>
  readonly simulate: (question: SimulateRequest) => Promise<SimulateAnswer | null>
}

/** Nobody is asked. */
export const noLeader: Leader = { explain: async () => null, simulate: async () => null }

export type LeaderOptions = {
  readonly kube: KubeClient
  /** Read again for every question: the kubelet renews projected tokens in place. */
  readonly tokenFile: string
  readonly clock: Clock
  /** Of one question; default 1 s. */
  readonly timeoutMs?: number
  readonly count: (question: keyof Leader, outcome: LeaderOutcome) => void
  readonly onError: (error: unknown) => void
}

const limits = {
  /** Of a question, with the search for whom to ask: people wait for it. */
  timeoutMs: 1000,
  addressMs: 2000,
  /** After a question that failed; else everybody would wait for the timeout in turn. */
  pauseMs: 2000,
  answerBytesMax: 262_144,
} as const

export type OpenLeader = Leader & { readonly close: () => Promise<void> }

/**
 * Asks whom the Lease names, over HTTP. After a failure it is left alone with that kind of question
 * for a moment: simulations that take too long must not hide the reasons why jobs wait.
 */
export function openLeader(options: LeaderOptions): OpenLeader {
  const { kube, clock, count, timeoutMs = limits.timeoutMs } = options
  const { addressMs: ageMsMax, answerBytesMax: maxResponseSize } = limits
  const agent = new Agent({ maxResponseSize })
  const address = openLeaderAddress({ kube, clock, timeoutMs, ageMsMax })
  const pausedUntilMs = new Map<string, number>()
  const parts = { ...options, timeoutMs, agent, address, pausedUntilMs }
  const ask = async <T>(name: keyof Leader, body: unknown, schema: z.ZodType<T>) => {
    const answer = await askUnlessPaused(parts, { path: `${queuePrefix}/${name}`, body, schema })
    count(name, answer.outcome)
    return answer.outcome === 'Answered' ? answer.value : null
  }
  return {
    explain: async (question) => await ask('explain', question, explainAnswer),
    simulate: async (question) => await ask('simulate', question, simulateAnswer),
    close: async () => await agent.destroy(),
  }
}

type Parts = Required<LeaderOptions> & {
  readonly agent: Agent
  readonly address: LeaderAddress
  /** By path. */
  readonly pausedUntilMs: Map<string, number>
}
type Question<T> = {
  readonly path: string
  readonly body: unknown
  readonly schema: z.ZodType<T>
}
type Answer<T> =
  | { readonly outcome: 'Answered'; readonly value: T }
  | { readonly outcome: Exclude<LeaderOutcome, 'Answered'> }

async function askUnlessPaused<T>(parts: Parts, question: Question<T>): Promise<Answer<T>> {
  const { address, clock, onError, pausedUntilMs } = parts
  const untilMs = pausedUntilMs.get(question.path) ?? -Infinity
  if (clock.nowMs() < untilMs) return { outcome: 'Paused' }
  const answer = await askLeader(parts, question).catch((error: unknown): Answer<T> => {
    onError(error)
    return { outcome: 'Silent' }
  })
  if (['Answered', 'Absent'].includes(answer.outcome)) return answer
  // It says Busy, too, when it does not lead any more.
  address.forget()
  if (answer.outcome !== 'Busy') {
    pausedUntilMs.set(question.path, clock.nowMs() + limits.pauseMs)
  }
  return answer
}

async function askLeader<T>(parts: Parts, question: Question<T>): Promise<Answer<T>> {
  const signal = AbortSignal.timeout(parts.timeoutMs)
  const address = await parts.address.find()
  if (address === null) return { outcome: 'Absent' }
  const token = (await readFile(parts.tokenFile, 'utf8')).trim()
  const answer = await request(new URL(question.path, `http://${address}`), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(question.body),
    dispatcher: parts.agent,
    signal,
  })
  const text = await answer.body.text()
  if (answer.statusCode === 503) return { outcome: 'Busy' }
  if (answer.statusCode !== 200) return { outcome: 'Refused' }
  const parsed = question.schema.safeParse(parseJson(text))
  return parsed.success ? { outcome: 'Answered', value: parsed.data } : { outcome: 'Garbled' }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
