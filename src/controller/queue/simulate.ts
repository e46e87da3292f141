import { timestamp } from '../../shared/clock.ts'
import { type GenerationJob, generationJobSpec } from '../../shared/crd/generation-job.ts'
import type { AdmissionInput } from '../../shared/domain/admission/input.ts'
import type { Candidate } from '../../shared/domain/admission/queue.ts'
import { apiGroupVersion } from '../../shared/names.ts'
import type {
  SimulateAnswer,
  SimulatedJobs,
  SimulateRequest,
  WantedJobs,
} from '../../shared/wire/queue.ts'
import type { Expectation, ForecastWish } from './forecaster.ts'
import { toTime } from './outside-queue.ts'

export type Simulation = {
  readonly input: AdmissionInput
  /** The job as admission sees it; undefined when it could not start as things are. */
  readonly candidateOf: (job: GenerationJob) => Candidate | undefined
  readonly expect: (
    input: AdmissionInput,
    wish: Pick<ForecastWish, 'uids' | 'workOf'>,
  ) => ReadonlyMap<string, Expectation>
  readonly nowMs: number
}

/** When jobs that nobody has made would start and end, behind all that waits already. */
export function simulate(request: SimulateRequest, simulation: Simulation): SimulateAnswer {
  const { input, candidateOf, expect, nowMs } = simulation
  const queue = input.queue.clone()
  const works = new Map<string, number>()
  const groups = request.jobs.map((wanted, group) => {
    const candidate = candidateOf(imagined(request, wanted, nowMs))
    return Array.from({ length: wanted.count }, (_, index) => {
      const uid = imaginedUid(group, index)
      works.set(uid, wanted.work)
      if (candidate !== undefined) queue.put({ ...candidate, uid, createdMs: nowMs })
      return uid
    })
  })
  const imaginary = { ...input, queue }
  const wish = { uids: groups.flat(), workOf: (uid: string) => works.get(uid) }
  const expected = expect(imaginary, wish)
  return { jobs: groups.map((uids) => summaryOf(uids, expected)) }
}

/** In the order of the question, after every real uid of the same moment. */
function imaginedUid(group: number, index: number): string {
  return `simulated-${String(group * 1000 + index).padStart(9, '0')}`
}

function imagined(
  { owner, namespace }: SimulateRequest,
  { task, model, loras, priority, execution }: WantedJobs,
  nowMs: number,
): GenerationJob {
  const name = 'simulated'
  return {
    apiVersion: apiGroupVersion,
    kind: 'GenerationJob',
    metadata: {
      name,
      namespace,
      uid: name,
      resourceVersion: '0',
      generation: 1,
      creationTimestamp: timestamp(nowMs),
    },
    spec: generationJobSpec.parse({
      owner,
      task,
      modelRef: { name: model },
      parameters: { loras: loras.map((lora) => ({ name: lora })) },
      priority,
      execution,
    }),
  }
}

/** The first start and the last end; what is not known of one is not known of all. */
function summaryOf(
  uids: readonly string[],
  expected: ReadonlyMap<string, Expectation>,
): SimulatedJobs {
  const found = uids.map((uid) => expected.get(uid))
  const starts = found.map((one) => one?.startMs ?? Infinity)
  const ends = found.map((one) => one?.endMs ?? Infinity)
  return {
    estimatedStartTime: timeUnless(Math.min(...starts)),
    estimatedEndTime: timeUnless(Math.max(...ends)),
  }
}

function timeUnless(ms: number): string | null {
  return Number.isFinite(ms) ? toTime(ms) : null
}
