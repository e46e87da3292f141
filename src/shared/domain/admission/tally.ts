import type { AdmissionInput, DepartmentView } from './input.ts'
import { defaultDepartment } from './input.ts'
import { countedGpus, type Owned, ownerKey } from './owner.ts'
import type { Candidate } from './queue.ts'
import { accruedGpus, gpusUsed, lastStartOf } from './use.ts'

type Account = { jobs: number; gpus: number; accrued: number; lastStartMs: number }
export type Limit = 'UserLimit' | 'DepartmentLimit'
type Counted = Owned & { readonly gpus: number; readonly startMs: number }

/** Where a department, or a user inside one, stands in the order of turns. */
export type Standing = {
  readonly name: string
  readonly share: number
  readonly lastStartMs: number
}

/**
 * How much more a GPU used before counts than one used now. GPUs that run are whole numbers and by
 * themselves favour small weights: simulated with 2 GPUs and weights 3:1, the heavier department
 * gets 63 % with 1, 69 % with 2 and 72 % with 4. More of it makes departments pay longer for having
 * borrowed what was idle: after hours alone on all GPUs they get less than 15 % of them for 15, 30
 * and 45 minutes.
 */
const PAST_WEIGHT = 2

/** Far below any share that matters, far above what rounding does to sums. */
const SHARE_DIGITS = 1e6

/** The least share first, then who started something longest ago, then by name. */
export function compareStandings(left: Standing, right: Standing): number {
  const byShare = Math.round(left.share * SHARE_DIGITS) - Math.round(right.share * SHARE_DIGITS)
  if (byShare !== 0) return byShare
  if (left.lastStartMs !== right.lastStartMs) return left.lastStartMs - right.lastStartMs
  return left.name < right.name ? -1 : 1
}

export type CapFacts = {
  readonly caps: Pick<DepartmentView, 'runningJobs' | 'runningJobsPerUser'>
  /** Jobs that count under the caps, by department and by `ownerKey`. */
  readonly jobsOf: (key: string) => number
}

/** How many more jobs the caps let run at the same time; not positive: none. */
export function jobsLeft(owner: Owned, { caps, jobsOf }: CapFacts) {
  const { runningJobs = Infinity, runningJobsPerUser = Infinity } = caps
  const perUser = owner.user === undefined ? Infinity : runningJobsPerUser
  const ownJobs = jobsOf(ownerKey(owner))
  return {
    ofDepartment: runningJobs - jobsOf(owner.department),
    ofOwner: ({ runningJobsMax = Infinity }: Pick<Candidate, 'runningJobsMax'>): number =>
      Math.min(runningJobsMax, perUser) - ownJobs,
  }
}

/** Who runs how much, from the running jobs and those that a plan starts. */
export class Tally {
  readonly #accounts = new Map<string, Account>()
  readonly #input: Pick<AdmissionInput, 'nowMs' | 'use' | 'departments'>

  constructor(input: Pick<AdmissionInput, 'nowMs' | 'use' | 'departments'>) {
    this.#input = input
  }

  count(job: Counted): void {
    const { nowMs, use } = this.#input
    const past = accruedGpus({ ...job, endMs: nowMs }, { atMs: nowMs, ...use })
    for (const key of [job.department, ownerKey(job)]) {
      const account = this.#account(key)
      account.jobs += 1
      account.gpus += countedGpus(job.gpus)
      account.accrued += past
      account.lastStartMs = Math.max(account.lastStartMs, job.startMs)
    }
  }

  /** Under the caps only: it uses nothing yet. */
  countWaiting(job: Owned): void {
    for (const key of [job.department, ownerKey(job)]) this.#account(key).jobs += 1
  }

  /** (GPUs now + PAST_WEIGHT · decayed use) / weight. */
  departmentStanding(department: string): Standing {
    return this.#standing(department, this.#department(department).weight)
  }

  ownerStanding(owner: Owned): Standing {
    return this.#standing(ownerKey(owner), 1)
  }

  limitOf(job: Candidate): Limit | undefined {
    return this.limitsOf(job)(job)
  }

  /** Which cap keeps a job of this owner from starting; good until the next count. */
  limitsOf(owner: Owned): (job: Candidate) => Limit | undefined {
    const left = jobsLeft(owner, {
      caps: this.#department(owner.department),
      jobsOf: (key) => this.#jobs(key),
    })
    return (job) => {
      if (left.ofOwner(job) <= 0) return 'UserLimit'
      return left.ofDepartment <= 0 ? 'DepartmentLimit' : undefined
    }
  }

  #standing(key: string, weight: number): Standing {
    const { nowMs, use } = this.#input
    const account = this.#accounts.get(key)
    const past = (account?.accrued ?? 0) + gpusUsed(use, key, nowMs)
    const share = ((account?.gpus ?? 0) + PAST_WEIGHT * past) / weight
    const startMs = Math.max(account?.lastStartMs ?? 0, lastStartOf(use, key))
    return { name: key, share, lastStartMs: startMs }
  }

  #department(name: string): DepartmentView {
    return this.#input.departments.get(name) ?? defaultDepartment
  }

  #jobs(key: string): number {
    return this.#accounts.get(key)?.jobs ?? 0
  }

  #account(key: string): Account {
    const account = this.#accounts.get(key) ?? { jobs: 0, gpus: 0, accrued: 0, lastStartMs: 0 }
    this.#accounts.set(key, account)
    return account
  }
}

export function openTally(input: AdmissionInput): Tally {
  const tally = new Tally(input)
  for (const job of input.running) {
    if (job.place.kind === 'Quota') tally.countWaiting(job)
    else tally.count(job)
  }
  return tally
}
