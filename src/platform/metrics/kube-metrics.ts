import { Counter, Histogram, type Registry } from 'prom-client'
import type { ObservedRequest } from '../kube/client.ts'
import type { Reconciled } from '../kube/work-queue.ts'

/** Counts a Kubernetes client's requests: give the result to `openKubeClient` as `observe`. */
export function countKubeRequests(registry: Registry): (request: ObservedRequest) => void {
  const total = new Counter({
    name: 'atelier_kube_requests_total',
    help: 'Requests to the Kubernetes API server; status 0 means that no answer came.',
    labelNames: ['verb', 'resource', 'status'],
    registers: [registry],
  })
  const seconds = new Histogram({
    name: 'atelier_kube_request_duration_seconds',
    help: 'Time until the answer of the Kubernetes API server began.',
    labelNames: ['verb', 'resource'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15],
    registers: [registry],
  })
  return ({ verb, resource, status, durationMs }) => {
    total.inc({ verb, resource, status })
    seconds.observe({ verb, resource }, durationMs / 1000)
  }
}

/** Measures a work queue: give the result to `startWorkQueue` as `onReconciled`. */
export function measureReconciles(
  registry: Registry,
): (queue: string) => (reconciled: Reconciled) => void {
  const run = new Histogram({
    name: 'atelier_reconcile_duration_seconds',
    help: 'Time that one reconcile took, by its outcome.',
    labelNames: ['queue', 'outcome'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60],
    registers: [registry],
  })
  const wait = new Histogram({
    name: 'atelier_queue_wait_seconds',
    help: 'Time that a key waited for a free worker.',
    labelNames: ['queue'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60],
    registers: [registry],
  })
  return (queue) =>
    ({ outcome, durationMs, waitedMs }) => {
      run.observe({ queue, outcome }, durationMs / 1000)
      wait.observe({ queue }, waitedMs / 1000)
    }
}
