import type { Lister } from '../../../platform/kube/list-watch.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Department } from '../../../shared/crd/department.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import {
  type DepartmentValues,
  differingFields,
  flattenDepartment,
} from '../../../shared/domain/department.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import type {
  DepartmentChangeRequest,
  DepartmentView,
  MemberView,
  NewDepartmentRequest,
} from '../../../shared/wire/departments.ts'
import type { Page, PageQuery } from '../../../shared/wire/pages.ts'
import { decodeCursor, encodeCursor } from '../../pages.ts'
import { changedValues } from '../audit-log/entry.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import type { UserStore } from '../users/store.ts'
import { editedValues, newValues, refusalOfEdit } from './edit.ts'
import { pageMembers } from './members.ts'
import type { DepartmentMemory } from './remember.ts'
import { newDepartmentRow, valuesOf } from './row.ts'
import type { DepartmentRow, DepartmentStore } from './store.ts'
import type { DepartmentSync } from './sync.ts'
import { toDepartmentView, toMemberView } from './view.ts'

export type DepartmentService = {
  /** By name: all for super admins, everybody else sees their own. */
  readonly list: (caller: Caller, query: PageQuery) => Promise<Page<DepartmentView>>
  /** Errors: `department.not_found`, also for another one than the caller's own. */
  readonly get: (caller: Caller, name: string) => Promise<DepartmentView>
  /** Errors: `department.exists`, also when only a custom resource has the name. */
  readonly create: (caller: Caller, request: NewDepartmentRequest) => Promise<DepartmentView>
  /**
   * Errors: `department.not_found`, `department.changed` for a stale revision, `auth.forbidden` and
   * `department.managed_by_platform` naming the fields.
   */
  readonly update: (
    caller: Caller,
    name: string,
    request: DepartmentChangeRequest,
  ) => Promise<DepartmentView>
  /** People without guests, by id. Errors: `department.not_found`. */
  readonly members: (caller: Caller, name: string, query: PageQuery) => Promise<Page<MemberView>>
}

export type DepartmentParts = Pick<DepartmentMemory, 'forgetDepartment'> & {
  readonly departments: DepartmentStore
  readonly users: Pick<UserStore, 'page'>
  readonly trail: AuditTrail
  readonly resources: Pick<Lister<Department>, 'get'>
  readonly sync: Pick<DepartmentSync, 'wake'>
  readonly clock: Clock
}

export function createDepartmentService(parts: DepartmentParts): DepartmentService {
  return {
    list: async (caller, query) => {
      requirePermission(caller, 'departments.read')
      const rows = await listVisible(parts, caller, query)
      const items = rows.slice(0, query.limit)
      const last = rows.length > query.limit ? items.at(-1) : undefined
      const next = last === undefined ? null : encodeCursor(last._id)
      return { items: items.map((row) => view(parts, row)), next }
    },
    get: async (caller, name) => {
      requirePermission(caller, 'departments.read')
      return view(parts, await readVisible(parts, caller, name))
    },
    create: async (caller, request) => {
      requirePermission(caller, 'departments.create')
      return view(parts, await create(parts, caller, request))
    },
    update: async (caller, name, request) => {
      requirePermission(caller, 'departments.update')
      return view(parts, await update(parts, caller, { name, request }))
    },
    members: async (caller, name, query) => {
      requirePermission(caller, 'users.read')
      const { _id } = await readVisible(parts, caller, name)
      const page = await pageMembers(parts.users, _id, query)
      return { ...page, items: page.items.map(toMemberView) }
    },
  }
}

function view({ resources }: DepartmentParts, row: DepartmentRow): DepartmentView {
  return toDepartmentView(row, resources.get(row._id))
}

/** One more than asked for, when there are so many. */
async function listVisible(
  { departments }: DepartmentParts,
  caller: Caller,
  { limit, cursor }: PageQuery,
): Promise<readonly DepartmentRow[]> {
  const afterId = cursor === undefined ? '' : decodeCursor(cursor)
  if (caller.role === 'super_admin') return await departments.page({ afterId, limit: limit + 1 })
  const own = await departments.find(caller.department)
  return own === null || own._id <= afterId ? [] : [own]
}

async function readVisible(
  { departments }: DepartmentParts,
  caller: Caller,
  name: string,
): Promise<DepartmentRow> {
  const isVisible = caller.role === 'super_admin' || caller.department === name
  const row = isVisible ? await departments.find(name) : null
  if (row !== null) return row
  throw new AppError('department.not_found', `there is no department ${name}`)
}

async function create(
  parts: DepartmentParts,
  caller: Caller,
  request: NewDepartmentRequest,
): Promise<DepartmentRow> {
  const { departments, trail, resources, clock } = parts
  const { name } = request
  const values = newValues(request)
  const after = flattenDepartment(values)
  const target = { kind: 'Department', id: name, department: name }
  const audit = trail.entry(caller, { action: 'department.created', target, after })
  const row = newDepartmentRow({ name, values, nowMs: clock.nowMs(), audit })
  // A resource without a row is about to become a department by itself.
  const isFree = resources.get(name) === undefined && (await departments.insert(row))
  if (!isFree) throw new AppError('department.exists', `there is a department ${name}`)
  await settle(parts, row)
  return row
}

type Update = { readonly name: string; readonly request: DepartmentChangeRequest }

/** Somebody else may edit at the same time; the decision is then made anew. */
const triesMax = 5

async function update(
  parts: DepartmentParts,
  caller: Caller,
  { name, request: { revision, ...edit } }: Update,
): Promise<DepartmentRow> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const row = await readVisible(parts, caller, name)
    if (revision !== undefined && revision !== row.revision) break
    const after = editedValues(valuesOf(row), edit)
    const fields = differingFields(row, after)
    if (fields.length === 0) return row
    const isPlatforms = isManagedByPlatform(parts, row)
    const refusal = refusalOfEdit({ role: caller.role, isPlatforms, fields })
    if (refusal !== null) throw refusal
    const changed = await write(parts, { caller, row, after })
    if (changed !== null) return changed
  }
  throw new AppError('department.changed', 'somebody changed it meanwhile; read it again')
}

/** The resource is asked as well: it may have become the truth a moment ago. */
function isManagedByPlatform({ resources }: DepartmentParts, row: DepartmentRow): boolean {
  return row.managedBy === 'platform' || resources.get(row._id)?.spec.managedBy === 'platform'
}

type Write = {
  readonly caller: Caller
  readonly row: DepartmentRow
  readonly after: DepartmentValues
}

async function write(
  parts: DepartmentParts,
  { caller, row, after }: Write,
): Promise<DepartmentRow | null> {
  const { departments, trail, clock } = parts
  const target = { kind: 'Department', id: row._id, department: row._id }
  const facts = changedValues(flattenDepartment(row), flattenDepartment(after))
  const audit = trail.entry(caller, { action: 'department.changed', target, ...facts })
  const changed = await departments.change(row, {
    set: { ...after, adopts: false },
    audit,
    nowMs: clock.nowMs(),
  })
  if (changed !== null) await settle(parts, changed)
  return changed
}

/** After a write of the row: the log, our own memory, and the custom resource. */
async function settle(parts: DepartmentParts, row: DepartmentRow): Promise<void> {
  const { departments, trail, forgetDepartment, sync } = parts
  forgetDepartment(row._id)
  sync.wake(row._id)
  await trail.relay(departments, row)
}
