import { z } from 'zod'
import { time } from '../crd/common.ts'
import { liveReasons } from './queue.ts'

/** Why a job waits, with a sentence for people. Clients branch on these words. */
export const pendingReasons = {
  ModelNotReady: 'One of its Models is missing, not ready, or not for this job.',
  InsufficientCredits: 'The payer’s account does not cover the price.',
  HoldLimit: 'The payer has too many open holds.',
  Suspended: 'spec.suspend is true.',
  BackingOff: 'The last attempt failed, and the next one waits a while.',
  UserLimit: 'Its owner runs as many jobs as they may.',
  DepartmentLimit: 'Its department runs as many jobs as it may.',
  WaitingForGpu: 'Its turn has not come, or nothing that fits it is free.',
  NoMatchingGpu: 'No Node could ever hold it, and no pool serves it.',
  ModelLoading: 'A pool pod is loading its model, or its own pod is fetching it.',
  PoolScalingUp: 'A pool that serves it is getting more pods.',
  WaitingForQuota:
    'Kueue has not admitted it, or Kubernetes makes no pod because of a ResourceQuota.',
  Starting: 'It has its place, and its pod is on the way.',
  Unknown: 'The controller has not said, or does not answer.',
} as const
export type PendingReason = keyof typeof pendingReasons

const ownReasons = [
  'ModelNotReady',
  'InsufficientCredits',
  'HoldLimit',
  'Suspended',
] as const satisfies readonly PendingReason[]

const described = Object.entries(pendingReasons).map(([name, text]) => `\`${name}\`: ${text}`)

/** How a waiting job stands at the moment of the answer. None of it is stored. */
export const queueView = z
  .object({
    reason: z
      .enum([...ownReasons, ...liveReasons, 'Unknown'])
      .meta({ description: described.join(' ') }),
    position: z.int().min(1).nullable().meta({
      description: 'From 1, among the waiting jobs of its owner; null while it is not in the queue',
    }),
    aheadEstimate: z.int().min(0).nullable().meta({
      description: 'How many waiting jobs, of anybody, probably start before it',
    }),
    estimatedStartTime: time.nullable().meta({
      description: 'From measured run times of its Model; null while there are none',
    }),
    estimatedCompletionTime: time.nullable(),
  })
  .meta({ id: 'Queue' })
export type QueueView = z.infer<typeof queueView>
