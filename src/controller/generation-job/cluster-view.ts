import { keyOf } from '../../platform/kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import type { AdmissionInput, Occupant, RunningJob } from '../../shared/domain/admission/input.ts'
import type { AdmissionNode } from '../../shared/domain/admission/nodes.ts'
import type { Caches } from '../caches.ts'
import type { PoolBoard, PoolBoardView } from '../model-pool/pool-board.ts'
import { gpusOfNode } from '../node-gpus.ts'
import {
  type PoolOffer,
  viewDepartment,
  viewNodes,
  viewRunningInSlots,
  viewRunningOnNodes,
} from './admission-input.ts'
import type { PlaceReservations } from './place-reservations.ts'

export type ClusterSources = {
  readonly caches: Caches
  readonly pools: Pick<PoolBoard, 'views' | 'pods' | 'occupants'>
  readonly reservations: PlaceReservations
  readonly clock: Clock
}

type Owner = Pick<RunningJob, 'department' | 'user' | 'model'>

export type GpuCount = { readonly total: number; readonly used: number }

/** What there is of an AdmissionInput beside its queue. */
export type ClusterState = Pick<
  AdmissionInput,
  'nowMs' | 'nodes' | 'occupants' | 'running' | 'departments'
> & { readonly pools: readonly PoolBoardView[] }

/** The Nodes, pools and running jobs as the caches show them, with what they do not show yet. */
export class ClusterView {
  readonly #sources: ClusterSources
  #nodes: readonly AdmissionNode[] | undefined
  /** Whose the attempts are that were seen the last time. */
  #owners: ReadonlyMap<string, Owner> = new Map()

  constructor(sources: ClusterSources) {
    this.#sources = sources
  }

  noteNodes(): void {
    this.#nodes = undefined
  }

  /** Read anew only when a Node has changed: every reconcile asks. */
  get nodes(): readonly AdmissionNode[] {
    this.#nodes ??= viewNodes(this.#sources.caches)
    return this.#nodes
  }

  /** What all known Nodes have, also those that are down. */
  get totalGpus(): number {
    const nodes = this.#sources.caches.nodes.list()
    return nodes.reduce((sum, node) => sum + gpusOfNode(node), 0)
  }

  /** GPUs of all known Nodes, and those that attempts and pool pods use. */
  gpus(): GpuCount {
    const occupants: readonly Occupant[] = this.#sources.pools.occupants()
    const ofJobs = this.#runningOnNodes().reduce((sum, { gpus }) => sum + gpus, 0)
    const used = occupants.reduce((sum, { request }) => sum + request.gpus, ofJobs)
    return { total: this.totalGpus, used }
  }

  offers(): PoolOffer[] {
    const pools = this.#sources.caches.modelPools.list()
    return pools
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map((pool) => ({
        name: keyOf(pool),
        namespace: pool.metadata.namespace ?? '',
        models: pool.spec.models.map(({ name }) => name),
      }))
  }

  read(): ClusterState {
    const { caches, clock, pools } = this.#sources
    const nowMs = clock.nowMs()
    const pods = pools.pods()
    const views = pools.views(pods)
    const departments = caches.departments.list()
    return {
      nowMs,
      nodes: this.nodes,
      occupants: pools.occupants(pods),
      pools: views,
      running: this.#owned([
        ...this.#runningOnNodes(),
        ...viewRunningInSlots({ caches, pods, views, nowMs }),
      ]),
      departments: new Map(departments.map((one) => [one.metadata.name, viewDepartment(one)])),
    }
  }

  /** Whoever deletes a job that runs must not get its place under the caps before it has ended. */
  #owned(running: readonly RunningJob[]): RunningJob[] {
    const all = running.map((run) => {
      const isDeleted = run.department === '' || run.model === ''
      return isDeleted ? { ...run, ...this.#owners.get(run.uid) } : run
    })
    this.#owners = new Map(
      all.map(({ uid, department, user, model }) => [uid, { department, user, model }]),
    )
    return all
  }

  #runningOnNodes(): RunningJob[] {
    return [...viewRunningOnNodes(this.#sources.caches), ...this.#sources.reservations.running()]
  }
}
