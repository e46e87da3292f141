import { timestamp } from '../../../src/shared/clock.ts'
import type {
  AttemptJobView,
  AttemptView,
  Observed,
  PodView,
} from '../../../src/controller/generation-job/observed.ts'
import type { PackSettings } from '../../../src/controller/settings.ts'
import { type Condition, condition } from '../../../src/shared/crd/common.ts'
import type {
  GenerationJob,
  GenerationJobSpec,
  GenerationJobStatus,
} from '../../../src/shared/crd/generation-job.ts'
import type { Model, ModelSpec } from '../../../src/shared/crd/model.ts'
import type { Hold, Report } from '../../../src/shared/wire/internal.ts'

/** When the jobs of these tests were created. */
export const createdMs = Date.parse('2026-01-01T00:00:00Z')
export const uid = '0a1b2c3d-0000-4000-8000-00000000000a'

/** What the controller is configured with by default. */
export const packSettings = {
  huggingFaceUrl: 'https://huggingface.co',
  s3Region: 'us-east-1',
  scratchBytes: 2 ** 36,
  allowHttp: false,
} satisfies PackSettings

/** Seconds after the job's creation, as the API server writes times. */
export function at(seconds: number): string {
  return timestamp(createdMs + seconds * 1000)
}

export function aCondition(type: string, is: string, message = ''): Condition {
  const [status = '', reason = ''] = is.split('/')
  const parsed = condition.shape.status.parse(status)
  return { type, status: parsed, reason, message, lastTransitionTime: at(0), observedGeneration: 1 }
}

export function aJob(
  given: { spec?: Partial<GenerationJobSpec>; status?: GenerationJobStatus } = {},
): GenerationJob {
  return {
    apiVersion: 'atelier.dev/v1alpha1',
    kind: 'GenerationJob',
    metadata: {
      name: 'job',
      namespace: 'vision',
      uid,
      resourceVersion: '7',
      generation: 1,
      creationTimestamp: at(0),
    },
    spec: {
      owner: { department: 'vision' },
      task: 'TextToImage',
      modelRef: { name: 'demo' },
      parameters: { prompt: 'a scratch on metal' },
      execution: 'Auto',
      priority: 50,
      suspend: false,
      cancel: false,
      backoffLimit: 2,
      activeDeadlineSeconds: 3600,
      queueTimeoutSeconds: 86_400,
      ttlSecondsAfterFinished: 86_400,
      ...given.spec,
    },
    ...(given.status === undefined ? {} : { status: given.status }),
  }
}

export function aModel(spec: Partial<ModelSpec> = {}, ready = 'True/Ready'): Model {
  return {
    apiVersion: 'atelier.dev/v1alpha1',
    kind: 'Model',
    metadata: {
      name: 'demo',
      uid: 'model-uid',
      resourceVersion: '3',
      generation: 1,
      creationTimestamp: at(0),
    },
    spec: {
      type: 'Base',
      family: 'StableDiffusion1',
      licence: 'Apache-2.0',
      tasks: ['TextToImage'],
      delivery: { type: 'Embedded', embedded: { path: 'demo' } },
      price: { perImageMicroCredits: 1000 },
      resources: { gpus: 1, cpu: '2', memory: '4Gi' },
      runsOn: ['Gpu', 'Cpu'],
      visibility: 'Public',
      ...spec,
    },
    status: { conditions: [aCondition('Ready', ready, 'the model’s own message')] },
  }
}

export const request = { gpus: 1, cpuMillis: 2000, memoryBytes: 4 * 2 ** 30 }

export function aPod(over: Partial<PodView> = {}): PodView {
  return {
    name: `gj-${uid}-a1-abcde`,
    uid: 'pod-1',
    nodeName: 'node-1',
    phase: 'Running',
    deleting: false,
    createdTime: at(1),
    startedTime: at(10),
    outOfMemory: false,
    disrupted: false,
    request,
    ...over,
  }
}

export function anEndedPod(exitCode: number, over: Partial<PodView> = {}): PodView {
  return aPod({ phase: exitCode === 0 ? 'Succeeded' : 'Failed', exitCode, ...over })
}

export function anAttempt(
  pod: PodView | undefined = aPod(),
  over: Partial<AttemptJobView> & { number?: number } = {},
): AttemptView {
  const { number = 1, ...rest } = over
  const job = {
    name: `gj-${uid}-a${number}`,
    uid: `job-${number}`,
    createdTime: at(0),
    deleting: false,
    finished: false,
    request,
    ...rest,
  }
  return { number, job, pods: pod === undefined ? [] : [pod] }
}

/** An attempt that has a Job but no pod yet. */
export function anAttemptWithoutPod(over: Partial<AttemptJobView> & { number?: number } = {}) {
  return { ...anAttempt(aPod(), over), pods: [] }
}

export type ObservedOptions = Partial<Omit<Observed, 'nowMs'>> & {
  /** Seconds since the job's creation. */
  readonly after?: number
}

export function observed(over: ObservedOptions = {}): Observed {
  const { after = 20, ...rest } = over
  return {
    job: aJob(),
    model: aModel(),
    loras: [],
    attempts: [],
    confirmedGone: false,
    place: { kind: 'Queued', cause: 'Turn' },
    clusterGpus: 2,
    nowMs: createdMs + after * 1000,
    ...rest,
  }
}

export function holdAnswer(state: Hold['state'], reason: Hold['reason']): Observed['hold'] {
  const value = { state, reason, message: `the api says ${reason}`, microCredits: 0 }
  return { answer: { kind: 'Answered', value }, askAgainMs: createdMs + 25_000 }
}

export const heldAnswer = holdAnswer('Held', 'Reserved')
export const unreachable = { kind: 'Unreachable', message: 'The api does not answer.' } as const

export function reported(
  reason: Report['reason'] | 'nothing',
  outputs: Report['outputs'] = [],
): Observed['report'] {
  const report =
    reason === 'nothing'
      ? null
      : { reason, message: `the pod says ${reason}`, outputs, stepsDone: 1 }
  return { kind: 'Answered', value: { report, outputs, stepsDone: 1 } }
}

export const output = {
  name: 'image-0.png',
  key: 'jobs/x/image-0.png',
  sha256: 'a'.repeat(64),
  sizeBytes: 10,
  contentType: 'image/png',
}

/** The status of a job whose first attempt runs, as the controller writes it. */
export function runningStatus(over: GenerationJobStatus = {}): GenerationJobStatus {
  return {
    observedGeneration: 1,
    conditions: [
      aCondition('CreditsReserved', 'True/Reserved', 'The price is held on the payer’s account.'),
      aCondition('Admitted', 'True/Admitted', 'The job has its place and an attempt may start.'),
      aCondition('ModelReady', 'True/Ready', 'The model exists, is ready and serves this task.'),
      aCondition('PodsReady', 'True/Running', 'The pod of the current attempt runs.'),
      aCondition('Succeeded', 'Unknown/Running', 'The job has not ended.'),
    ],
    attempt: {
      number: 1,
      podName: `gj-${uid}-a1-abcde`,
      podUID: 'pod-1',
      nodeName: 'node-1',
      startTime: at(10),
    },
    startTime: at(10),
    ...over,
  }
}

export function withCondition(status: GenerationJobStatus, given: Condition): GenerationJobStatus {
  const others = (status.conditions ?? []).filter(({ type }) => type !== given.type)
  return { ...status, conditions: [...others, given] }
}
