import { describe, expect, test } from 'vitest'
import type { JobEvent, JobEvents } from '../../../src/api/features/jobs/events.ts'
import { toFrame } from '../../../src/api/realtime/event-frames.ts'
import { openJobInbox } from '../../../src/api/realtime/job-inbox.ts'
import { type JobStreamEvent, streamJob } from '../../../src/api/realtime/job-stream.ts'
import type { Progress } from '../../../src/shared/wire/internal.ts'
import { exampleJob } from '../../../src/shared/wire/job-examples.ts'
import { type JobState, jobView, type JobView } from '../../../src/shared/wire/jobs.ts'

const jobId = exampleJob.id

function view(state: JobState, revision: number): JobView {
  return { ...jobView.parse(exampleJob), state, revision }
}

function progress(sequence: number): Progress {
  const counts = { step: sequence, steps: 20, imagesDone: 0, images: 1, stepsDone: sequence }
  return { sequence, stage: 'Denoising', ...counts }
}

/** A job whose row and events the test decides. */
function stage(first: JobView) {
  let row = first
  let reads = 0
  let listener: ((event: JobEvent) => void) | null = null
  const controller = new AbortController()
  const events: JobEvents = {
    publish: () => {},
    onUser: () => ({ close: () => {} }),
    onJob: (_jobId, added) => {
      listener = added
      return { close: () => (listener = null) }
    },
  }
  let stopsAtRead = false
  const start = (heartbeatMs: number) =>
    streamJob({
      read: async () => {
        reads += 1
        if (stopsAtRead) controller.abort()
        return row
      },
      inbox: openJobInbox(events, jobId, controller.signal),
      clock: { nowMs: () => Date.now() },
      heartbeatMs,
      signal: controller.signal,
    })
  return {
    start,
    stop: () => controller.abort(),
    stopAtRead: () => (stopsAtRead = true),
    isHeard: () => listener !== null,
    readCount: () => reads,
    setRow: (newer: JobView) => (row = newer),
    tell: (event: Omit<JobEvent, 'jobId'>) => listener?.({ jobId, ...event }),
  }
}

const never = 1_000_000

async function next(stream: AsyncGenerator<JobStreamEvent, void>): Promise<JobStreamEvent | null> {
  const { value } = await stream.next()
  return value ?? null
}

describe('a stream of one job', () => {
  test('begins with the job as it is and ends at once when it has ended', async () => {
    const job = stage(view('Completed', 9))
    const stream = job.start(never)
    expect(await next(stream)).toMatchObject({ kind: 'Job', view: { revision: 9 } })
    expect(await next(stream)).toBeNull()
  })

  test('tells each newer row and ends after the terminal one', async () => {
    const job = stage(view('Pending', 2))
    const stream = job.start(never)
    await next(stream)
    job.setRow(view('Running', 3))
    job.tell({ revision: 3 })
    expect(await next(stream)).toMatchObject({ kind: 'Job', view: { state: 'Running' } })
    job.setRow(view('Completed', 4))
    job.tell({ revision: 4 })
    expect(await next(stream)).toMatchObject({ kind: 'Job', view: { state: 'Completed' } })
    expect(await next(stream)).toBeNull()
  })

  test('tells progress without reading the row again', async () => {
    const job = stage(view('Running', 3))
    const stream = job.start(never)
    await next(stream)
    job.tell({ revision: 3, progress: progress(1) })
    expect(await next(stream)).toMatchObject({ kind: 'Progress', progress: { step: 1 } })
    expect(job.readCount()).toBe(1)
  })

  test('skips what is older than what it told', async () => {
    const job = stage(view('Running', 3))
    const stream = job.start(never)
    await next(stream)
    job.tell({ revision: 3, progress: progress(5) })
    await next(stream)
    const waiting = next(stream)
    job.tell({ revision: 2, progress: progress(4) })
    await new Promise(setImmediate)
    job.tell({ revision: 3, progress: progress(6) })
    expect(await waiting).toMatchObject({ kind: 'Progress', progress: { step: 6 } })
  })

  test('keeps only the newest of what happens while the reader is away', async () => {
    const job = stage(view('Running', 3))
    const stream = job.start(never)
    await next(stream)
    for (const sequence of [1, 2, 3]) job.tell({ revision: 3, progress: progress(sequence) })
    job.setRow(view('Running', 4))
    job.tell({ revision: 4 })
    expect(await next(stream)).toMatchObject({ kind: 'Job', view: { revision: 4 } })
    expect(await next(stream)).toMatchObject({ kind: 'Progress', progress: { step: 3 } })
  })

  test('finds a change without any event at the next heartbeat', async () => {
    const job = stage(view('Running', 3))
    const stream = job.start(5)
    await next(stream)
    job.setRow(view('Completed', 4))
    expect(await next(stream)).toEqual({ kind: 'Heartbeat' })
    expect(await next(stream)).toMatchObject({ kind: 'Job', view: { state: 'Completed' } })
    expect(await next(stream)).toBeNull()
  })

  test('tells nothing that it read as it ended', async () => {
    const job = stage(view('Running', 3))
    const stream = job.start(5)
    await next(stream)
    job.setRow(view('Running', 4))
    job.stopAtRead()
    expect(await next(stream)).toEqual({ kind: 'Heartbeat' })
    expect(await next(stream)).toBeNull()
    expect(await next(job.start(never))).toBeNull()
  })

  test('ends when it is told to, also while it waits, and listens no more', async () => {
    const job = stage(view('Running', 3))
    const stream = job.start(never)
    await next(stream)
    const waiting = next(stream)
    expect(job.isHeard()).toBe(true)
    job.stop()
    expect(await waiting).toBeNull()
    expect(job.isHeard()).toBe(false)
  })
})

describe('a frame', () => {
  test('of a job has its revision as id and one line of data', () => {
    const text = toFrame({ kind: 'Job', view: { ...view('Running', 3), message: 'a\nb' } })
    expect(text).toMatch(/^event: job\nid: 3\ndata: \{.*\}\n\n$/)
  })

  test('of progress is the whole progress without its sequence', () => {
    const text = toFrame({ kind: 'Progress', revision: 3, progress: progress(7) })
    expect(text.startsWith('event: progress\nid: 3\ndata: ')).toBe(true)
    expect(text).not.toContain('sequence')
  })

  test('of a heartbeat is a comment', () => {
    expect(toFrame({ kind: 'Heartbeat' })).toBe(': heartbeat\n\n')
  })
})
