import { beforeEach, expect, test } from 'vitest'
import { signRequest } from '../../../src/platform/http/request-signature.ts'
import { eventually } from '../../support/eventually.ts'
import type { PoolProcess } from './pool-process.ts'

/**
 * A pool pod with two slots, of which the first one has `other` warm and the second one `endless`.
 * Endless jobs on these two go on until they are cancelled; short ones are done with `short`.
 */
export type PoolSubject = Pick<PoolProcess, 'ask' | 'put' | 'untilEnded' | 'state' | 'isReady'> & {
  readonly url: string
  /** `spare` is in no slot. */
  readonly models: Readonly<Record<JobLength | 'other' | 'spare', string>>
  readonly newJob: (length: JobLength) => { readonly uid: string; readonly jobId: string }
  /** As SIGTERM does. */
  readonly drain: () => void
}
type Giving = { readonly attempt?: number; readonly on?: JobLength | 'other' }
export type JobLength = 'short' | 'endless'

function refusal(status: number, code: string) {
  return { status, answer: { code } }
}

/** What a controller relies on, of the real pool pod and of the fake one in simulations. */
export function describePoolContract(subject: () => PoolSubject): void {
  const give = async (length: JobLength, { attempt = 1, on = length }: Giving = {}) => {
    const { newJob, put, models } = subject()
    const { uid, jobId } = newJob(length)
    const given = { jobId, model: models[on], attempt }
    return { uid, given, answer: await put(uid, given) }
  }
  const drop = async (uid: string, attempt = 1) =>
    await subject().ask(`DELETE /v1/jobs/${uid}?attempt=${attempt}`)
  const statesOf = async () => (await subject().state()).slots.map(({ state }) => state)

  // A slot may have to get warm again after a job that was cancelled.
  beforeEach(async () => {
    await eventually(async () => expect(await statesOf()).toEqual(['Idle', 'Idle']))
  })

  test('has a model in each slot when it is ready', async () => {
    expect(await subject().isReady()).toBe(true)
    const { models, state } = subject()
    const { draining, slots } = await state()
    const expected = [models.other, models.endless].map((model) => {
      return { model, state: 'Idle', job: null }
    })
    expect({ draining, slots }).toEqual({ draining: false, slots: expected })
  })

  test('wants a signature of everything but the probes', async () => {
    const { url } = subject()
    const path = '/v1/state'
    const signed = { method: 'GET', path, body: '' }
    const forged = signRequest(signed, Buffer.alloc(32, 1), { nowMs: Date.now() })
    const answers = [
      await fetch(`${url}${path}`),
      await fetch(`${url}${path}`, { headers: forged }),
      await fetch(`${url}/v1/nothing`),
      await fetch(`${url}/healthz`),
      await fetch(`${url}/readyz`),
    ]
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 200, 200])
  })

  test('refuses what it cannot understand', async () => {
    const { ask } = subject()
    const uid = 'uid-of-nobody'
    const lines = [
      [`GET /v1/nothing`, 404],
      [`GET /v1/jobs/${uid}?attempt=1`, 404],
      [`GET /v1/jobs/${uid}`, 400],
      [`GET /v1/jobs/${uid}?attempt=1&waitSeconds=61`, 400],
      [`DELETE /v1/jobs/${uid}?attempt=0`, 400],
      [`POST /v1/jobs/${uid}`, 405],
    ] as const
    for (const [line, status] of lines) {
      const answer = await ask(line)
      expect([line, answer.status]).toEqual([line, status])
    }
    expect(await ask(`PUT /v1/jobs/${uid}`, {})).toMatchObject(refusal(400, 'request.invalid'))
    expect(await ask(`PUT /v1/jobs/${uid}`)).toMatchObject({ status: 400 })
  })

  test('does a job once, however often it is given', async () => {
    const { put, untilEnded } = subject()
    const job = await give('short')
    expect(job.answer).toEqual({ status: 200, answer: { attempt: 1, state: 'Running' } })
    expect(await put(job.uid, job.given)).toMatchObject({ status: 200 })
    const ended = { attempt: 1, state: 'Ended', reason: 'Completed' }
    expect(await untilEnded(job.uid)).toEqual(ended)
    expect(await put(job.uid, job.given)).toEqual({ status: 200, answer: ended })
    expect(await statesOf()).toEqual(['Idle', 'Idle'])
  })

  test('refuses what was meant for the process before it', async () => {
    const { newJob, ask, models } = subject()
    const { uid, jobId } = newJob('short')
    const body = { attempt: 1, jobId, model: models.short, runner: 'another-runner' }
    const answer = await ask(`PUT /v1/jobs/${uid}`, body)
    expect(answer).toMatchObject(refusal(409, 'pool.runner_changed'))
  })

  test('refuses a model that it does not have', async () => {
    const { newJob, put } = subject()
    const { uid, jobId } = newJob('short')
    expect(await put(uid, { jobId, model: 'absent' })).toMatchObject(
      refusal(400, 'request.invalid'),
    )
  })

  test('cancels an attempt for the next one, and takes no earlier one again', async () => {
    const { put, untilEnded } = subject()
    const job = await give('endless', { attempt: 2 })
    const next = { ...job.given, attempt: 3 }
    expect(await put(job.uid, next)).toMatchObject(refusal(409, 'pool.busy'))
    expect(await untilEnded(job.uid, 2)).toMatchObject({ reason: 'Cancelled' })
    const first = await put(job.uid, { ...job.given, attempt: 1 })
    expect(first).toMatchObject(refusal(409, 'pool.attempt_outdated'))
    expect(await put(job.uid, next)).toMatchObject({ answer: { attempt: 3, state: 'Running' } })
    await drop(job.uid, 3)
    expect(await untilEnded(job.uid, 3)).toMatchObject({ state: 'Ended', reason: 'Cancelled' })
  })

  test('has no room for more jobs than slots', async () => {
    const { state, untilEnded } = subject()
    const busy = [await give('endless'), await give('endless', { on: 'other' })]
    expect((await give('short')).answer).toMatchObject(refusal(409, 'pool.busy'))
    const { slots } = await state()
    const given = slots.map(({ state: now, job }) => [now, job?.uid, job?.attempt])
    // The slot that has the model warm is taken first.
    const expected = [busy[1]?.uid, busy[0]?.uid].map((uid) => ['Busy', uid, 1])
    expect(given).toEqual(expected)
    for (const { uid } of busy) expect(await drop(uid)).toMatchObject({ status: 204 })
    for (const { uid } of busy) await untilEnded(uid)
  })

  test('forgets a job that is dropped after its end, and does not take it back', async () => {
    const { ask, put, untilEnded } = subject()
    const job = await give('short')
    await untilEnded(job.uid)
    await drop(job.uid)
    expect(await ask(`GET /v1/jobs/${job.uid}?attempt=1`)).toMatchObject({ status: 404 })
    expect(await put(job.uid, job.given)).toMatchObject(refusal(409, 'pool.attempt_outdated'))
  })

  test('takes no job of which it heard the end first', async () => {
    const { newJob, put, models } = subject()
    const { uid, jobId } = newJob('short')
    expect(await drop(uid)).toMatchObject({ status: 204 })
    const answer = await put(uid, { jobId, model: models.short })
    expect(answer).toMatchObject(refusal(409, 'pool.attempt_outdated'))
  })

  test('answers a question at once when it is not to wait', async () => {
    const { ask, untilEnded } = subject()
    const { uid } = await give('endless')
    const line = `GET /v1/jobs/${uid}?attempt=1`
    const running = { status: 200, answer: { attempt: 1, state: 'Running' } }
    expect(await ask(line)).toEqual(running)
    expect(await ask(`${line}&waitSeconds=0`)).toEqual(running)
    await drop(uid)
    await untilEnded(uid)
  })

  test('gives up the model that it is told to, and never one that the job needs', async () => {
    const { models, newJob, put, state, untilEnded } = subject()
    const modelsNow = async () => (await state()).slots.map(({ model }) => model)
    const giveInstead = async (model: string, instead: string) => {
      const { uid, jobId } = newJob('short')
      expect(await put(uid, { jobId, model, instead })).toMatchObject({ status: 200 })
      expect(await untilEnded(uid)).toMatchObject({ reason: 'Completed' })
    }
    await giveInstead(models.short, models.other)
    expect(await modelsNow()).toEqual([models.short, models.endless])
    await giveInstead(models.spare, models.endless)
    expect(await modelsNow()).toEqual([models.short, models.spare])
    await giveInstead(models.spare, models.short)
    expect(await modelsNow()).toEqual([models.short, models.spare])
  })

  test('refuses a model to give up that is no name', async () => {
    const { models, newJob, put } = subject()
    const { uid, jobId } = newJob('short')
    const answer = await put(uid, { jobId, model: models.short, instead: '' })
    expect(answer).toMatchObject(refusal(400, 'request.invalid'))
  })

  test('finishes what it has and takes nothing new once it drains', async () => {
    const { drain, isReady, state, put, untilEnded } = subject()
    const job = await give('endless')
    drain()
    await eventually(async () => expect((await state()).draining).toBe(true))
    expect(await isReady()).toBe(false)
    expect((await give('short')).answer).toMatchObject(refusal(409, 'pool.draining'))
    expect(await put(job.uid, job.given)).toMatchObject({ answer: { state: 'Running' } })
    // The process ends with its last job: the answer is sent before that.
    const end = untilEnded(job.uid)
    await drop(job.uid)
    expect(await end).toMatchObject({ reason: 'Cancelled' })
  })
}
