import { type ErrorCode, errorTable } from '../../shared/errors.ts'
import { type Problem, problemOf } from '../../shared/wire/problem.ts'
import { problemContentType } from './problem.ts'
import { rateHeaderReferences } from './rate-headers.ts'
import type { RoutePermission } from './route-config.ts'

/** These can happen on every route. */
const always: readonly ErrorCode[] = [
  'request.invalid',
  'rate.limited',
  'platform.internal',
  'platform.unavailable',
]
/** And these on every route that is not Public. */
const signedIn: readonly ErrorCode[] = [
  'auth.required',
  'auth.invalid_token',
  'auth.forbidden',
  'auth.cross_site',
]

export type ProblemAnswers = Readonly<Record<string, ProblemAnswer>>
type ProblemAnswer = {
  readonly description: string
  readonly headers?: Readonly<Record<string, object>>
  readonly content: object
}

/** The problem documents of a route by status, each with an example per code. */
export function problemAnswers(
  codes: readonly ErrorCode[],
  permission: RoutePermission,
): ProblemAnswers {
  const all = [...codes, ...(permission === 'Public' ? [] : signedIn), ...always]
  const byStatus = Map.groupBy(new Set(all), (code) => errorTable[code].status)
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [String(status), problemAnswer(status, group)]),
  )
}

function problemAnswer(status: number, codes: readonly ErrorCode[]): ProblemAnswer {
  const examples = codes.map((code) => [code, { value: exampleOf(code) }] as const)
  return {
    description: codes.map((code) => `\`${code}\`: ${errorTable[code].title}.`).join(' '),
    ...headersOf(status),
    content: {
      [problemContentType]: {
        schema: { $ref: '#/components/schemas/Problem' },
        examples: Object.fromEntries(examples),
      },
    },
  }
}

function headersOf(status: number): Pick<ProblemAnswer, 'headers'> {
  if (status === 401) return { headers: { 'WWW-Authenticate': { schema: { type: 'string' } } } }
  const isTemporary = status === 429 || status === 503
  if (!isTemporary) return {}
  const description = 'Seconds to wait before the next try'
  const retryAfter = { 'Retry-After': { description, schema: { type: 'integer' } } }
  return { headers: { ...retryAfter, ...(status === 429 && rateHeaderReferences) } }
}

function exampleOf(code: ErrorCode): Problem {
  const errors = [{ path: '/parameters/width', message: 'Too big: expected number to be <=4096' }]
  return {
    ...problemOf(code),
    detail: errorTable[code].title,
    instance: '01jd6z0c5m8k2v3n4p5q6r7s8t',
    ...(code === 'request.invalid' && { errors }),
  }
}
