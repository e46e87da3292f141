import type { ObjectStore } from '../../../platform/objects/store.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Difference } from '../../../shared/domain/audit-differences.ts'
import { openArtifactCheck } from './artifact-check.ts'
import type { Check, Checked, Found } from './check.ts'
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
  }

export type AuditReport = {
  /** Number of differences: 0 when rows, resources, holds, entries and objects agree. */
  readonly drift: number
  readonly differences: readonly Difference[]
  readonly checked: Checked
}

/** Compares everything with everything and changes nothing. */
export type Auditor = {
  /** Reads everything there is: each entry and row once, and the head of each object. */
  readonly full: () => Promise<AuditReport>
  /**
   * What is new since the last look, what is open, and what differed then. Reads all accounts, open
   * rows and the list of GenerationJobs, as the comparison does, but no entry and no ended row a
   * second time. The first look, and the one after a look that failed, is a full one.
   */
  readonly changes: () => Promise<AuditReport>
}

const looksAgain = 2
const pauseMs = 1000

/** Remembers what was looked at, in bounds. Looks must not overlap. */
export function openAuditor(deps: AuditDeps): Auditor {
  const checks = openChecks(deps)
  let known: readonly Suspicion[] | null = null
  const finish = async (look: () => Promise<readonly Suspicion[]>): Promise<AuditReport> => {
    // Whatever fails on the way has looked at some things of which nobody was told.
    known = null
    const confirmed = await confirm(await look(), deps.pause)
    known = confirmed
    const differences = distinct(confirmed.map(({ difference }) => difference))
    return { drift: differences.length, differences, checked: checkedBy(checks) }
  }
  const full = async () =>
    await finish(async () => await each(checks, async (check) => await check.all()))
  return {
    full,
    changes: async () => {
      const before = known
      if (before === null) return await full()
      return await finish(async () => [
        ...(await each(checks, async (check) => await check.changed())),
        ...(await lookAgain(before)),
      ])
    },
  }
}

/** Something that one check saw as different. */
type Suspicion = Found & { readonly check: Check }

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

async function each(
  checks: readonly Check[],
  look: (check: Check) => Promise<readonly Found[]>,
): Promise<readonly Suspicion[]> {
  const all: Suspicion[] = []
  for (const check of checks) all.push(...(await look(check)).map((one) => ({ ...one, check })))
  return all
}

/** What was on its way has arrived a moment later: only what stays is a difference. */
async function confirm(
  suspicions: readonly Suspicion[],
  pause: AuditDeps['pause'],
): Promise<readonly Suspicion[]> {
  let left = suspicions
  for (let look = 0; look < looksAgain && left.length > 0; look += 1) {
    await pause(pauseMs)
    const names = new Set(left.map(({ difference }) => nameOf(difference)))
    left = (await lookAgain(left)).filter(({ difference }) => names.has(nameOf(difference)))
  }
  return left
}

const subjectsPerQuery = 500

async function lookAgain(suspicions: readonly Suspicion[]): Promise<readonly Suspicion[]> {
  const all: Suspicion[] = []
  for (const [check, own] of Map.groupBy(suspicions, (one) => one.check)) {
    const subjects = [...new Set(own.map(({ subject }) => subject))]
    for (let start = 0; start < subjects.length; start += subjectsPerQuery) {
      const some = subjects.slice(start, start + subjectsPerQuery)
      all.push(...(await check.again(some)).map((one) => ({ ...one, check })))
    }
  }
  return all
}

function nameOf({ kind, id }: Difference): string {
  return JSON.stringify([kind, id])
}

/** Two checks may find the same. */
function distinct(differences: readonly Difference[]): readonly Difference[] {
  return [...new Map(differences.map((one) => [nameOf(one), one])).values()]
}

function checkedBy(checks: readonly Check[]): Checked {
  const none = { rows: 0, accounts: 0, entries: 0, resources: 0, artifacts: 0 }
  return checks.reduce((sum, check) => ({ ...sum, ...check.checked() }), none)
}
