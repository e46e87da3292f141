import type { ObjectStore } from '../../../platform/objects/store.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Difference } from '../../../shared/domain/audit-differences.ts'
import { openArtifactCheck } from './artifact-check.ts'
import type { Check, Checked, CheckName, Found } from './check.ts'
import { type DepartmentCheckDeps, openDepartmentCheck } from './department-check.ts'
import { openHoldCheck } from './hold-check.ts'
import { openJobCheck } from './job-check.ts'
import { openLedgerCheck } from './ledger-check.ts'
import { openResourceCheck, type ResourceCheckDeps } from './resource-check.ts'
import type { AuditStore } from './store.ts'

export type AuditDeps = DepartmentCheckDeps &
  Pick<ResourceCheckDeps, 'listJobs'> & {
    readonly auditStore: AuditStore
    readonly objects: Pick<ObjectStore, 'head' | 'list'>
    readonly clock: Clock
    /** Between two looks at what seems to differ. */
    readonly pause: (ms: number) => Promise<void>
    /** Ends audits that run. */
    readonly signal?: AbortSignal | undefined
  }

export type AuditReport = {
  /**
   * Number of differences: 0 when rows, resources, holds, entries and objects agree. Null when a
   * check failed: then nobody knows it.
   */
  readonly drift: number | null
  /** Of a check that failed, what it has found before. */
  readonly differences: readonly Difference[]
  readonly checked: Checked
  readonly failed: readonly FailedCheck[]
}

export type FailedCheck = { readonly check: CheckName; readonly error: unknown }

/** Compares everything with everything and changes nothing. */
export type Auditor = {
  /** Reads everything there is: each entry and row once, and the head of each object. */
  readonly full: () => Promise<AuditReport>
  /**
   * What is new since the last look, what is open, and what differed then. Reads all accounts, open
   * rows and the list of GenerationJobs, as the comparison does, but no entry and no ended row a
   * second time. Each check looks at everything first, and again after it failed.
   */
  readonly changes: () => Promise<AuditReport>
}

const looksAgain = 2
const pauseMs = 1000

type FoundBy = Map<Check, readonly Found[]>

/** Remembers what was looked at, in bounds. Looks must not overlap. */
export function openAuditor(deps: AuditDeps): Auditor {
  const checks = openChecks(deps)
  const known: FoundBy = new Map()
  let unfinished: ReadonlySet<Check> = new Set(checks)
  const audit = async (isFull: boolean) => {
    const isWhole = isFull ? new Set(checks) : unfinished
    // Whatever fails on the way has looked at some things of which nobody was told.
    unfinished = new Set(checks)
    const failed = new Map<Check, unknown>()
    const attempt: Attempt = async (check, look) => {
      try {
        return await look()
      } catch (error) {
        deps.signal?.throwIfAborted()
        failed.set(check, error)
        return []
      }
    }
    const found: FoundBy = new Map()
    for (const check of checks) {
      const look = isWhole.has(check) ? check.all : async () => await lookOn(check, known)
      found.set(check, await attempt(check, look))
    }
    await confirm(found, attempt, deps.pause)
    for (const [check, left] of found) if (!failed.has(check)) known.set(check, left)
    unfinished = new Set(failed.keys())
    return reportOf({ checks, known, failed })
  }
  return { full: async () => await audit(true), changes: async () => await audit(false) }
}

async function lookOn(check: Check, known: FoundBy): Promise<readonly Found[]> {
  return [...(await check.changed()), ...(await lookAgain(check, known.get(check) ?? []))]
}

/** What one check cannot look at must not hide what the others see. */
type Attempt = (check: Check, look: () => Promise<readonly Found[]>) => Promise<readonly Found[]>

function openChecks(deps: AuditDeps): readonly Check[] {
  const store = deps.auditStore
  return [
    openLedgerCheck(store),
    openHoldCheck(store),
    openJobCheck({ ...deps, store }),
    openResourceCheck({ ...deps, store }),
    openArtifactCheck({ ...deps, store }),
    openDepartmentCheck(deps),
  ]
}

/** What was on its way has arrived a moment later: only what stays is a difference. */
async function confirm(found: FoundBy, attempt: Attempt, pause: AuditDeps['pause']): Promise<void> {
  for (let look = 0; look < looksAgain; look += 1) {
    const suspected = [...found].filter(([, some]) => some.length > 0)
    if (suspected.length === 0) return
    await pause(pauseMs)
    for (const [check, some] of suspected) {
      const names = new Set(some.map(nameOf))
      const left = await attempt(check, async () => await lookAgain(check, some))
      found.set(
        check,
        left.filter((one) => names.has(nameOf(one))),
      )
    }
  }
}

const subjectsPerQuery = 500

async function lookAgain(check: Check, found: readonly Found[]): Promise<readonly Found[]> {
  const all: Found[] = []
  const subjects = [...new Set(found.map(({ subject }) => subject))]
  for (let start = 0; start < subjects.length; start += subjectsPerQuery) {
    all.push(...(await check.again(subjects.slice(start, start + subjectsPerQuery))))
  }
  return all
}

function nameOf({ difference: { kind, id } }: Found): string {
  return JSON.stringify([kind, id])
}

type Result = {
  readonly checks: readonly Check[]
  readonly known: FoundBy
  readonly failed: ReadonlyMap<Check, unknown>
}

function reportOf({ checks, known, failed }: Result): AuditReport {
  // Two checks may find the same.
  const named = [...known.values()].flat().map((one) => [nameOf(one), one.difference] as const)
  const differences = [...new Map(named).values()]
  const none = { rows: 0, accounts: 0, entries: 0, resources: 0, artifacts: 0 }
  return {
    drift: failed.size === 0 ? differences.length : null,
    differences,
    checked: checks.reduce((sum, check) => ({ ...sum, ...check.checked() }), none),
    failed: [...failed].map(([check, error]) => ({ check: check.name, error })),
  }
}
