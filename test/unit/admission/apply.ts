import type { Admission, Start } from '../../../src/shared/domain/admission/admit.ts'
import type { AdmissionInput, RunningJob } from '../../../src/shared/domain/admission/input.ts'

/** The cluster after an admission: what it started runs and waits no longer. */
export function applied(input: AdmissionInput, admission: Admission): AdmissionInput {
  return moveOn({ ...input, queue: input.queue.clone() }, admission)
}

/** The same, with the queue itself. */
export function moveOn(input: AdmissionInput, { starts, turns }: Admission): AdmissionInput {
  for (const { job } of starts) input.queue.remove(job.uid)
  return {
    ...input,
    turns,
    running: [...input.running, ...starts.map((start) => runOf(input, start))],
    pools: starts.reduce<AdmissionInput['pools']>(takeSlot, input.pools),
  }
}

function runOf({ nowMs, pools }: AdmissionInput, { job, place }: Start): RunningJob {
  const { uid, department, user, model, request } = job
  const owned = { uid, department, user, model, startMs: nowMs }
  if (place.kind === 'Quota') return { ...owned, gpus: 0, place }
  if (place.kind === 'Node') return { ...owned, gpus: request.gpus, place: { ...place, request } }
  const { gpusPerSlot = 0 } = pools.find(({ name }) => name === place.pool) ?? {}
  return { ...owned, gpus: gpusPerSlot, place }
}

/** Throws when the slot was not free: admission gave away what there is not. */
function takeSlot(pools: AdmissionInput['pools'], { place }: Start): AdmissionInput['pools'] {
  if (place.kind !== 'Slot') return pools
  const slots = [...(pools.find(({ name }) => name === place.pool)?.slots ?? [])]
  const index = slots.findIndex(({ pod, model }) => pod === place.pod && model === place.slotModel)
  if (index < 0) throw new Error(`no such free slot: ${JSON.stringify(place)}`)
  slots.splice(index, 1)
  return pools.map((pool) => (pool.name === place.pool ? { ...pool, slots } : pool))
}
