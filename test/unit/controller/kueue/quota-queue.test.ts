import { describe, expect, it } from 'vitest'
import { queueFault, quotaQueueOf } from '../../../../src/controller/kueue/quota-queue.ts'
import type { GenerationJobSpec } from '../../../../src/shared/crd/generation-job.ts'
import { aJob } from '../builders.ts'

const queue = 'kueue.x-k8s.io/queue-name'
const priorityClass = 'kueue.x-k8s.io/priority-class'

function labelled(labels: Record<string, string>, spec: Partial<GenerationJobSpec> = {}) {
  const job = aJob({ spec })
  return { ...job, metadata: { ...job.metadata, labels } }
}

describe('the queue of Kueue that a job goes through', () => {
  const served = { isServed: true }

  it('is the one that its label names, with its priority class', () => {
    expect(quotaQueueOf(labelled({ [queue]: 'team' }), served)).toEqual({ localQueue: 'team' })
    const both = labelled({ [queue]: 'team', [priorityClass]: 'high' })
    expect(quotaQueueOf(both, served)).toEqual({ localQueue: 'team', priorityClass: 'high' })
  })

  it('is the configured one of a job that names none, which its own name overrides', () => {
    const byDefault = { ...served, localQueue: 'everybody' }
    expect(quotaQueueOf(aJob(), byDefault)).toEqual({ localQueue: 'everybody' })
    expect(quotaQueueOf(labelled({ [queue]: '' }), byDefault)?.localQueue).toBe('everybody')
    expect(quotaQueueOf(labelled({ [queue]: 'team' }), byDefault)?.localQueue).toBe('team')
  })

  it.each([
    ['names none', aJob(), served],
    ['names none but a priority', labelled({ [priorityClass]: 'high' }), served],
    ['insists on a pool', labelled({ [queue]: 'team' }, { execution: 'Pooled' }), served],
    ['lives without Kueue', labelled({ [queue]: 'team' }), { isServed: false, localQueue: 'x' }],
  ] as const)('is none when the job %s', (_, job, settings) => {
    expect(quotaQueueOf(job, settings)).toBeUndefined()
  })

  it.each(['Auto', 'Dedicated'] as const)('is asked for every job in %s', (execution) => {
    expect(quotaQueueOf(labelled({ [queue]: 'team' }, { execution }), served)).toBeDefined()
  })

  it('is at fault when no object can have its name, or that of the priority class', () => {
    expect(queueFault({ localQueue: 'team-1.a', priorityClass: 'high' })).toBeUndefined()
    expect(queueFault({ localQueue: 'Team_A' })).toContain(`metadata.labels[${queue}]: Team_A`)
    const fault = queueFault({ localQueue: 'team', priorityClass: '-' })
    expect(fault).toContain(`metadata.labels[${priorityClass}]`)
  })
})
