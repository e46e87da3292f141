import { expect } from 'vitest'
import { findCondition } from '../../../src/controller/conditions.ts'
import { mergePatch } from '../../../src/platform/kube/objects.ts'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import type { GenerationJob, Output } from '../../../src/shared/crd/generation-job.ts'
import type { Report } from '../../../src/shared/wire/internal.ts'
import { eventually } from '../../support/eventually.ts'
import type { Behaviour } from './kubelet.ts'
import type { World } from './world.ts'

/** `status/reason` of one condition, such as `True/Completed`. */
export function conditionOf(job: GenerationJob, type: string): string {
  const condition = findCondition(job.status?.conditions, type)
  return condition === undefined ? 'absent' : `${condition.status}/${condition.reason}`
}

export function messageOf(job: GenerationJob, type: string): string {
  return findCondition(job.status?.conditions, type)?.message ?? ''
}

export type Expected = { readonly type: string; readonly is: string; readonly name?: string }

/** Waits until a job's condition is as expected, and returns that job. */
export async function until(world: World, { type, is, name = 'job' }: Expected) {
  return await eventually(async () => {
    const job = await world.getJob(name)
    expect(conditionOf(job, type), `${name} ${type}`).toBe(is)
    return job
  })
}

/** Makes the controller look at a job again, without any change of what it is to do. */
export async function poke({ admin, namespace }: World, name: string): Promise<void> {
  const patch = { metadata: { annotations: { 'test.example/poke': '1' } } }
  await mergePatch(admin, generationJobs, { name, namespace, patch })
}

/** Writes of the controllers to the status of this job so far. */
export function statusWrites({ writes }: World, name: string): number {
  return writes.filter((write) => write.endsWith(`/generationjobs/${name}/status`)).length
}

export const output: Output = {
  name: 'image-0.png',
  key: 'jobs/x/image-0.png',
  sha256: 'a'.repeat(64),
  sizeBytes: 10,
  contentType: 'image/png',
}

export function reportWith(reason: Report['reason'], outputs: readonly Output[] = []): Report {
  return { reason, message: `the pod says ${reason}`, outputs: [...outputs], stepsDone: 20 }
}

/** Common behaviours of containers. */
export const completes: Behaviour = {
  exit: { code: 0, report: reportWith('Completed', [output]) },
}
export const fails: Behaviour = { exit: { code: 1, report: reportWith('Failed') } }
export const runs: Behaviour = { stopReport: reportWith('Cancelled', [output]) }
