import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { AppError, invalidRequest, isAppError } from '../../../shared/errors.ts'
import {
  type JobRequest,
  simulatedJobsMax,
  type SimulationRequest,
} from '../../../shared/wire/job-requests.ts'
import type { SimulatedJobs, WantedJobs } from '../../../shared/wire/queue.ts'
import type { SimulationView } from '../../../shared/wire/simulations.ts'
import type { AccountService } from '../accounts/service.ts'
import { jobPolicyOf } from '../departments/remember.ts'
import { type CheckedWish, checkWish, type DraftDeps } from '../jobs/draft.ts'
import { defaultExecution, defaultPriority } from '../jobs/new-row.ts'
import type { Leader } from '../queue/leader.ts'

export type SimulationService = {
  /**
   * What jobs would cost and when they would start and end if the caller submitted them now. It
   * holds nothing, and too few credits are no error. Errors: `model.not_found`, `request.invalid`
   * (both naming the job), `auth.forbidden`.
   */
  readonly simulate: (caller: Caller, request: SimulationRequest) => Promise<SimulationView>
}

export type SimulationDeps = DraftDeps & {
  readonly accounts: Pick<AccountService, 'balanceOf'>
  readonly leader: Pick<Leader, 'simulate'>
}

/** Jobs alike. */
type Wanted = { readonly request: JobRequest; readonly count: number }
type Checked = Wanted & CheckedWish

export function createSimulationService(deps: SimulationDeps): SimulationService {
  return {
    simulate: async (caller, { jobs }) => {
      requirePermission(caller, 'jobs.create')
      const wanted = jobs.map(({ count = 1, ...request }): Wanted => ({ request, count }))
      requireFew(wanted)
      const checked: Checked[] = []
      for (const [index, one] of wanted.entries()) {
        checked.push({ ...one, ...(await check(deps, caller, { ...one, index })) })
      }
      const times = await askTimes(deps, caller, checked)
      const account = accountIdOf({ department: caller.department, user: caller.userId })
      const { availableMicroCredits } = await deps.accounts.balanceOf(account)
      return toView(checked, { times, availableMicroCredits })
    },
  }
}

function requireFew(wanted: readonly Wanted[]): void {
  if (wanted.reduce((sum, { count }) => sum + count, 0) <= simulatedJobsMax) return
  throw invalidRequest([{ path: '/jobs', message: `has more than ${simulatedJobsMax} jobs` }])
}

/** A fault names the job in the list, and in it what `POST /v1/jobs` would name. */
async function check(
  deps: DraftDeps,
  caller: Caller,
  { request, index }: Wanted & { readonly index: number },
): Promise<CheckedWish> {
  return await checkWish(deps, { caller, request }).catch((error: unknown) => {
    if (!isAppError(error) || error.fields.length === 0) throw error
    const fields = error.fields.map(({ path, message }) => {
      return { path: `/jobs/${index}${path}`, message }
    })
    throw new AppError(error.code, error.message, { cause: error, fields })
  })
}

async function askTimes(
  { people, departments, leader }: SimulationDeps,
  { department, userId: user }: Caller,
  jobs: readonly Checked[],
): Promise<readonly SimulatedJobs[] | null> {
  const known = departments.get(department)?.spec.namespace
  const namespace = known ?? (await jobPolicyOf(people, department)).namespace
  const { runningJobs } = jobs[0]?.limits.caps ?? {}
  const owner = { department, user, limits: { runningJobs } }
  const answer = await leader.simulate({ owner, namespace, jobs: jobs.map(toWanted) })
  return answer?.jobs.length === jobs.length ? answer.jobs : null
}

/** No prompt leaves the api: how much work it is, is all that counts. */
function toWanted({ request, parameters, priced, count }: Checked): WantedJobs {
  const { images, modelCalls, megapixels } = priced.basis
  return {
    task: request.task,
    model: request.model,
    loras: (parameters.loras ?? []).map(({ name }) => name),
    priority: request.priority ?? defaultPriority,
    execution: request.execution ?? defaultExecution,
    work: images === 0 ? 0 : (megapixels * modelCalls) / images,
    count,
  }
}

type Found = {
  readonly times: readonly SimulatedJobs[] | null
  readonly availableMicroCredits: number
}

function toView(jobs: readonly Checked[], { times, availableMicroCredits }: Found): SimulationView {
  const prices = jobs.map(({ priced, count }) => BigInt(priced.microCredits) * BigInt(count))
  const price = prices.reduce((sum, each) => sum + each, 0n)
  const after = BigInt(availableMicroCredits) - price
  return {
    jobs: jobs.map(({ count }, index) => ({
      count,
      price: formatCredits(prices[index] ?? 0n),
      estimatedStartTime: times?.[index]?.estimatedStartTime ?? null,
      estimatedCompletionTime: times?.[index]?.estimatedEndTime ?? null,
    })),
    price: formatCredits(price),
    available: formatCredits(availableMicroCredits),
    balanceAfter: formatCredits(after),
    ...(after < 0n ? { missing: formatCredits(-after) } : {}),
    startsKnown: times !== null,
  }
}
