import type { AuditAction } from '../../../shared/domain/audit-actions.ts'
import type { Caller, Origin } from '../../../shared/domain/caller.ts'

export type AuditValues = Readonly<Record<string, string | number | boolean | null>>

/** Who did what to whom, when and from where. Never a password, code, token, key or prompt. */
export type AuditEntry = {
  /** A ULID: entries are listed in its order. */
  readonly _id: string
  readonly timeMs: number
  readonly action: AuditAction
  readonly actor: {
    readonly kind: 'User' | 'System'
    /** User id, or the name of the task or program. */
    readonly id: string
    readonly role: string | null
    readonly department: string | null
    /** The API key that they used; absent for tasks and in the oldest entries. */
    readonly keyId?: string | null
  }
  readonly target: {
    readonly kind: string
    readonly id: string
    /** Whose admins may read the entry. */
    readonly department: string | null
  }
  readonly before: AuditValues | null
  readonly after: AuditValues | null
  /** Absent for what no request caused. */
  readonly origin: {
    readonly ip: string
    readonly userAgent: string
    readonly requestId: string
  } | null
}

/**
 * Entries of the changes of a document, made in the same write as the change; the relay copies
 * them to the audit log and then takes them away. So no crash loses or doubles one.
 */
export type AuditOutbox = { readonly auditOutbox: readonly AuditEntry[] }

export type AuditFacts = {
  readonly action: AuditAction
  readonly target: AuditEntry['target']
  readonly before?: AuditValues | null | undefined
  readonly after?: AuditValues | null | undefined
  /** From where, when no known person asked. */
  readonly origin?: Origin | undefined
}

export type NewAuditEntry = {
  readonly id: string
  readonly nowMs: number
  /** A person, or the name of a task or program. */
  readonly by: Caller | string
}

export function auditEntry({ id, nowMs, by }: NewAuditEntry, facts: AuditFacts): AuditEntry {
  const { action, target, before = null, after = null } = facts
  return {
    _id: id,
    timeMs: nowMs,
    action,
    actor: actorOf(by),
    target,
    before,
    after,
    origin: (typeof by === 'string' ? facts.origin : by.origin) ?? null,
  }
}

function actorOf(by: NewAuditEntry['by']): AuditEntry['actor'] {
  if (typeof by === 'string') return { kind: 'System', id: by, role: null, department: null }
  const { userId, role, department, keyId = null } = by
  return { kind: 'User', id: userId, role, department, keyId }
}

/** Only the fields that differ, for `before` and `after` of a change. */
export function changedValues(
  before: AuditValues,
  after: AuditValues,
): { readonly before: AuditValues; readonly after: AuditValues } {
  const names = Object.keys({ ...before, ...after }).filter((name) => before[name] !== after[name])
  const pick = (values: AuditValues): AuditValues =>
    Object.fromEntries(names.map((name) => [name, values[name] ?? null]))
  return { before: pick(before), after: pick(after) }
}
