import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { ObservedRequest } from '../platform/kube/client.ts'
import type { Reconciled } from '../platform/kube/work-queue.ts'
import { countKubeRequests, measureReconciles } from '../platform/metrics/kube-metrics.ts'
import type { EstimateVerdict } from './queue/estimate-verdict.ts'

const queueNames = ['generation-job', 'model', 'department', 'model-pool', 'pool-pod'] as const
export type QueueName = (typeof queueNames)[number]

/** Read when the metrics are asked for. */
export type ControllerGauges = {
  readonly queueDepth: (queue: QueueName) => number
  readonly gpus: () => { readonly total: number; readonly used: number }
}

export type ControllerMetrics = {
  readonly kubeRequest: (request: ObservedRequest) => void
  readonly reconciled: (queue: QueueName) => (reconciled: Reconciled) => void
  readonly reconcileFailed: (queue: QueueName) => void
  readonly watchFailed: () => void
  readonly jobEnded: (outcome: string) => void
  readonly estimateJudged: (judged: EstimateVerdict) => void
  readonly queueQuestion: (question: 'explain' | 'simulate' | 'other', status: number) => void
  readonly leadingFrom: (isLeading: () => boolean) => void
  /** Connects the gauges once the parts that they read exist. */
  readonly readFrom: (gauges: ControllerGauges) => void
}

/** Every metric of the controller. Labels are bounded: never a job, user or namespace. */
export function createControllerMetrics(registry: Registry): ControllerMetrics {
  const registers = [registry]
  const countRequest = countKubeRequests(registry)
  const writes = new Counter({
    name: 'atelier_kube_writes_total',
    help: 'Requests to the Kubernetes API server that write, answered or not.',
    labelNames: ['verb', 'resource'],
    registers,
  })
  const failures = new Counter({
    name: 'atelier_reconcile_errors_total',
    help: 'Reconciles that threw and are tried again.',
    labelNames: ['queue'],
    registers,
  })
  const watchFailures = new Counter({
    name: 'atelier_watch_errors_total',
    help: 'Lists and watches that failed and are tried again.',
    registers,
  })
  const ended = new Counter({
    name: 'atelier_jobs_ended_total',
    help: 'Jobs that ended, by the reason of their condition Succeeded.',
    labelNames: ['outcome'],
    registers,
  })
  return {
    kubeRequest: (request) => {
      countRequest(request)
      const { verb, resource } = request
      if (!readVerbs.includes(verb)) writes.inc({ verb, resource })
    },
    reconciled: measureReconciles(registry),
    reconcileFailed: (queue) => failures.inc({ queue }),
    watchFailed: () => watchFailures.inc(),
    jobEnded: (outcome) => ended.inc({ outcome }),
    estimateJudged: judgeEstimates(registry),
    queueQuestion: countQuestions(registry),
    leadingFrom: (isLeading) => declareLeading(registry, isLeading),
    readFrom: (gauges) => declareGauges(registry, gauges),
  }
}

/** Of each job of which somebody was told when it starts, the first such answer counts. */
function judgeEstimates(registry: Registry): ControllerMetrics['estimateJudged'] {
  const verdicts = new Counter({
    name: 'atelier_estimates_total',
    help:
      'Estimated starts by what came: right is within 10 s or half of the estimated wait, ' +
      'whichever is more; early and late jobs started before and after that.',
    labelNames: ['verdict'],
    registers: [registry],
  })
  const ratios = new Histogram({
    name: 'atelier_estimate_error_ratio',
    help: 'Real wait of a job over the first one that was estimated: 1 is exact, 2 twice as long.',
    buckets: [0.1, 0.25, 0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2, 4, 10],
    registers: [registry],
  })
  return ({ verdict, ratio }) => {
    verdicts.inc({ verdict })
    if (ratio !== undefined) ratios.observe(ratio)
  }
}

function countQuestions(registry: Registry): ControllerMetrics['queueQuestion'] {
  const questions = new Counter({
    name: 'atelier_queue_questions_total',
    help: 'Questions of the api about the queue, by the status of the answer.',
    labelNames: ['question', 'status'],
    registers: [registry],
  })
  return (question, status) => questions.inc({ question, status: String(status) })
}

function declareLeading(registry: Registry, isLeading: () => boolean): void {
  const leading = new Gauge({
    name: 'atelier_controller_leading',
    help: '1 in the process that decides and writes, 0 in one that stands by.',
    registers: [registry],
    collect: () => {
      leading.set(isLeading() ? 1 : 0)
    },
  })
}

const readVerbs: readonly string[] = ['get', 'list', 'watch']

function declareGauges(registry: Registry, gauges: ControllerGauges): void {
  const registers = [registry]
  const depth = new Gauge({
    name: 'atelier_queue_depth',
    help: 'Keys that wait for a free worker.',
    labelNames: ['queue'],
    registers,
    collect: () => {
      for (const queue of queueNames) depth.set({ queue }, gauges.queueDepth(queue))
    },
  })
  const gpus = new Gauge({
    name: 'atelier_gpus',
    help: 'GPUs of the known Nodes (total) and those that attempts use (used).',
    labelNames: ['state'],
    registers,
    collect: () => {
      const { total, used } = gauges.gpus()
      gpus.set({ state: 'total' }, total)
      gpus.set({ state: 'used' }, used)
    },
  })
}
