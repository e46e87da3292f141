import type { KubeClient } from '../../../platform/kube/client.ts'
import {
  isAlreadyExists,
  isConflict,
  isForbidden,
  isInvalid,
  isNotFound,
  type KubeError,
  unlessNotFound,
} from '../../../platform/kube/errors.ts'
import type { Lister } from '../../../platform/kube/list-watch.ts'
import { createObject, getObject, mergePatch } from '../../../platform/kube/objects.ts'
import { departments } from '../../../platform/kube/resources.ts'
import { type Outcome, startWorkQueue } from '../../../platform/kube/work-queue.ts'
import { unreachable } from '../../../shared/assert.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Department, DepartmentSpec } from '../../../shared/crd/department.ts'
import { flattenDepartment, type ResourceValues } from '../../../shared/domain/department.ts'
import { labels } from '../../../shared/names.ts'
import { eachById } from '../../tasks/pages.ts'
import { changedValues } from '../audit-log/entry.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import { decideSync, rowOnly, type SyncStep } from './decide-sync.ts'
import type { DepartmentMemory } from './remember.ts'
import { newDepartmentRow, type Refusal, type ResourceSeen, valuesOf } from './row.ts'
import type { DepartmentRow, DepartmentStore } from './store.ts'

export type DepartmentSyncDeps = Pick<DepartmentMemory, 'forgetDepartment'> & {
  readonly kube: KubeClient
  readonly store: DepartmentStore
  readonly trail: AuditTrail
  /** Resources of this installation, for a first look. */
  readonly resources: Pick<Lister<Department>, 'get' | 'list'>
  readonly installation: string | undefined
  readonly clock: Clock
  readonly random: () => number
  readonly log: { readonly warn: (fields: object, sentence: string) => void }
}

/** Keeps rows and `Department` resources equal; any replica may do it, several at once. */
export type DepartmentSync = {
  /** Compares one department soon; returns at once. */
  readonly wake: (name: string) => void
  /** Wakes those whose row and cached resource differ: what nobody was told of. */
  readonly wakeAll: () => Promise<void>
  /** Waits for what runs; what waits is left to the next `wakeAll`. */
  readonly stop: () => Promise<void>
}

const limits = { concurrency: 4, waiting: 2000 } as const

export function startDepartmentSync(deps: DepartmentSyncDeps): DepartmentSync {
  const queue = startWorkQueue({
    concurrency: limits.concurrency,
    clock: deps.clock,
    random: deps.random,
    onError: (error, department) =>
      deps.log.warn({ err: error, department }, 'a Department could not be compared; again soon'),
    reconcile: async (name) => await syncDepartment(deps, name),
  })
  const wake = (name: string): void => {
    if (queue.depth() < limits.waiting) queue.add(name)
  }
  return {
    wake,
    wakeAll: async () => {
      const unmet = new Map(deps.resources.list().map((one) => [one.metadata.name, one]))
      for await (const row of eachById(deps.store.page)) {
        if (decideSync(row, unmet.get(row._id)).kind !== 'None') wake(row._id)
        unmet.delete(row._id)
      }
      for (const name of unmet.keys()) wake(name)
    },
    stop: queue.stop,
  }
}

/** Follow, patch, note is the longest way; twice that means that somebody works against us. */
const stepsMax = 6
const crowdedMs = 1000

/** One step after the other, each decided on a fresh look, until there is none. */
async function syncDepartment(deps: DepartmentSyncDeps, name: string): Promise<Outcome> {
  for (let steps = 0; steps < stepsMax; steps += 1) {
    const looked = await look(deps, name)
    if (looked.kind === 'Taken') return await refuse(deps, looked.row, nameTaken)
    const step = decideSync(looked.row, looked.resource)
    if (step.kind === 'None') return { kind: 'Done' }
    const refusal = await take(deps, step, name)
    if (refusal !== null) return await refuse(deps, looked.row, refusal)
  }
  return { kind: 'RecheckAfter', ms: crowdedMs }
}

type Look = { readonly row: DepartmentRow | null; readonly resource: Department | undefined }

/**
 * The resource first: whoever changes the row after that patches the resource after us, and the
 * resourceVersion in our patch tells us when they were faster.
 */
async function look(
  { kube, store, installation }: DepartmentSyncDeps,
  name: string,
): Promise<({ readonly kind: 'Seen' } & Look) | ({ readonly kind: 'Taken' } & Look)> {
  const resource = await getObject(kube, departments, { name }).catch(unlessNotFound)
  const row = await store.find(name)
  const isOurs = resource?.metadata.labels?.[labels.installation] === installation
  const kind = resource === undefined || isOurs ? 'Seen' : 'Taken'
  return { kind, row, resource }
}

const nameTaken: Refusal = {
  reason: 'NameTaken',
  message: 'the Department of this name belongs to another installation of Atelier',
}

async function take(
  deps: DepartmentSyncDeps,
  step: SyncStep,
  name: string,
): Promise<Refusal | null> {
  switch (step.kind) {
    case 'None':
      return null
    case 'Adopt':
      await adopt(deps, name, step)
      return null
    case 'Follow':
      await follow(deps, step)
      return null
    case 'Note':
      await deps.store.note(step.row, { resource: step.seen, adopts: false, refusal: null })
      return null
    case 'Create':
      return await write(async () => await createResource(deps, name, step.spec))
    case 'Patch':
      return await write(async () => await patchResource(deps, step))
    default:
      return unreachable(step)
  }
}

async function createResource(
  { kube, installation }: DepartmentSyncDeps,
  name: string,
  spec: DepartmentSpec,
): Promise<unknown> {
  const own = installation === undefined ? {} : { labels: { [labels.installation]: installation } }
  return await createObject(kube, departments, { metadata: { name, ...own }, spec })
}

type Patch = { readonly resource: Department; readonly spec: object }

async function patchResource(
  { kube }: DepartmentSyncDeps,
  { resource, spec }: Patch,
): Promise<unknown> {
  const { name, uid, resourceVersion } = resource.metadata
  const patch = { metadata: { uid, resourceVersion }, spec }
  return await mergePatch(kube, departments, { name, patch })
}

/** Somebody who was faster is no fault: the next look shows what they did. */
async function write(request: () => Promise<unknown>): Promise<Refusal | null> {
  try {
    await request()
    return null
  } catch (error) {
    if (isAlreadyExists(error) || isConflict(error) || isNotFound(error)) return null
    if (isInvalid(error) || isForbidden(error)) return refusalOf(error)
    throw error
  }
}

const messageLengthMax = 1024

function refusalOf({ reason, message }: KubeError): Refusal {
  return { reason, message: message.slice(0, messageLengthMax) }
}

type Taken = { readonly values: ResourceValues; readonly seen: ResourceSeen }

async function adopt(deps: DepartmentSyncDeps, name: string, taken: Taken): Promise<void> {
  const { store, trail, clock } = deps
  const values = { ...taken.values, ...rowOnly }
  const target = { kind: 'Department', id: name, department: name }
  const after = flattenDepartment(values)
  const audit = trail.entry('kubernetes', { action: 'department.created', target, after })
  const nowMs = clock.nowMs()
  const row = newDepartmentRow({ name, values, resource: taken.seen, nowMs, audit })
  if (await store.insert(row)) await trail.relay(store, row)
  deps.forgetDepartment(name)
}

async function follow(
  deps: DepartmentSyncDeps,
  { row, values, seen }: Taken & { readonly row: DepartmentRow },
): Promise<void> {
  const { store, trail, clock } = deps
  const target = { kind: 'Department', id: row._id, department: row._id }
  const before = valuesOf(row)
  const facts = changedValues(
    flattenDepartment(before),
    flattenDepartment({ ...before, ...values }),
  )
  const audit = trail.entry('kubernetes', { action: 'department.changed', target, ...facts })
  const set = { ...values, resource: seen, adopts: false, refusal: null }
  const changed = await store.change(row, { set, audit, nowMs: clock.nowMs() })
  deps.forgetDepartment(row._id)
  if (changed !== null) await trail.relay(store, changed)
}

/** The view shows it; the next turn of the comparison tries again. */
async function refuse(
  { store }: DepartmentSyncDeps,
  row: DepartmentRow | null,
  refusal: Refusal,
): Promise<Outcome> {
  const known = row?.refusal
  const isKnown = known?.reason === refusal.reason && known.message === refusal.message
  if (row !== null && !isKnown) await store.note(row, { refusal })
  return { kind: 'Done' }
}
