import { describe, expect, it } from 'vitest'
import { AppError } from '../../../../src/shared/errors.ts'
import { createLogger } from '../../../../src/platform/log/logger.ts'

const SECRET = 'hunter2-and-a-picture-of-my-cat'
const JWT = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl'

function build() {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const log = createLogger({ process: 'test', level: 'debug', destination })
  return {
    log,
    text: () => lines.join(''),
    last: (): unknown => JSON.parse(lines.at(-1) ?? 'null'),
  }
}

describe('the logger', () => {
  it('writes one JSON object per line, with level, time and process', () => {
    const { log, last } = build()
    log.info({ jobId: 'j1' }, 'job started')
    expect(last()).toMatchObject({
      level: 'info',
      process: 'test',
      jobId: 'j1',
      msg: 'job started',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    })
  })

  it.each([
    { authorization: SECRET },
    { headers: { Authorization: SECRET, 'Set-Cookie': SECRET, cookie: SECRET } },
    { password: SECRET },
    { user: { newPassword: SECRET, 'old-password': SECRET } },
    { token: SECRET },
    { body: { access_token: SECRET, refreshToken: SECRET } },
    { prompt: SECRET },
    { spec: { parameters: { prompt: SECRET, negativePrompt: SECRET } } },
    { jobs: [{ prompt: SECRET }, { deep: [{ TOKEN: SECRET }] }] },
    { email: SECRET },
    { clientSecret: SECRET, apiKey: SECRET, privateKey: SECRET },
    { password: { nested: SECRET } },
    { err: Object.assign(new Error('x'), { token: SECRET }) },
    { err: new Error('x', { cause: Object.assign(new Error('y'), { password: SECRET }) }) },
    { failure: new Error('x', { cause: Object.assign(new Error('y'), { password: SECRET }) }) },
    { err: new AppError('request.invalid', 'x', { details: { prompt: SECRET } }) },
  ])('never prints a secret field: %o', (fields) => {
    const { log, text } = build()
    log.info(fields, 'something happened')
    expect(text()).toContain('something happened')
    expect(text()).toContain('[redacted]')
    expect(text()).not.toContain(SECRET)
  })

  it('never prints secret fields that a child logger was given', () => {
    const { log, text } = build()
    log.child({ request: { token: SECRET }, password: SECRET }).info('x')
    expect(text()).not.toContain(SECRET)
  })

  it.each([
    `connect ECONNREFUSED mongodb://atelier:${SECRET}@db.example:27017/atelier`,
    `refused: Bearer ${SECRET}`,
    `refused: authorization=bearer ${JWT}`,
    `the token ${JWT} has expired`,
    `GET /objects/a.png?expires=1&signature=${SECRET} failed`,
  ])('cuts credentials out of texts: %s', (text) => {
    const { log, text: written, last } = build()
    log.error({ err: new Error(text), detail: text }, text)
    expect(written()).not.toContain(SECRET)
    expect(written()).not.toContain(JWT)
    expect(last()).toMatchObject({ level: 'error' })
  })

  it('keeps lines readable when an address and a mail address meet in one', () => {
    const { log, last } = build()
    log.info({ url: 'http://127.0.0.1:8080', other: 'a@b' }, 'x')
    expect(last()).toMatchObject({ url: 'http://127.0.0.1:8080', other: 'a@b' })
  })

  it('prints an error with its code, stack and causes', () => {
    const { log, last } = build()
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    log.error({ err: new AppError('platform.unavailable', 'no database', { cause }) }, 'failed')
    expect(last()).toMatchObject({
      err: {
        type: 'AppError',
        code: 'platform.unavailable',
        message: 'no database',
        stack: expect.stringContaining('logger.test'),
        cause: { message: 'refused', code: 'ECONNREFUSED' },
      },
    })
  })

  it('survives loops, depth and big integers', () => {
    const { log, last } = build()
    const loop: Record<string, unknown> = { size: 12n }
    loop['self'] = loop
    log.info({ loop }, 'x')
    expect(last()).toMatchObject({ msg: 'x', loop: { size: '12' } })
  })

  it('keeps counts whose names only look like secrets', () => {
    const { log, last } = build()
    log.info({ promptTokens: 77, tokens: 5 }, 'x')
    expect(last()).toMatchObject({ promptTokens: 77, tokens: 5 })
  })
})
