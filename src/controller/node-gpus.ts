import type { Node } from '../platform/kube/resources.ts'
import { resourcesOf } from '../shared/domain/admission/resources.ts'
import { perObject } from './per-object.ts'

/** What a Node has, not what it offers now: its GPUs must not seem gone while a driver restarts. */
export const gpusOfNode = perObject(({ status }: Node): number => {
  const [has, offers] = [resourcesOf(status?.capacity), resourcesOf(status?.allocatable)]
  return Math.max(has.gpus, offers.gpus)
})
