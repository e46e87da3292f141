import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { departmentSpec } from '../crd/department.ts'
import { carryOvers } from '../domain/budget.ts'
import { downloadRecipes } from '../domain/department.ts'
import { userStates } from '../domain/people.ts'
import { roles } from '../domain/permissions.ts'
import { systemNamespace } from '../names.ts'
import { line } from './text.ts'

const allowedModelsMax = 200
const { weight, limits: limitsSpec, managedBy } = departmentSpec.shape
const { runningJobs, runningJobsPerUser, queuedJobs } = limitsSpec.unwrap().shape

export const departmentParams = z.strictObject({ name: labelName })

const displayName = line({ max: 128 }).meta({ description: 'Name for people.' })
const allowedModels = z
  .array(labelName)
  .max(allowedModelsMax)
  .transform((names) => [...new Set(names)].toSorted())
  .nullable()
  .meta({ description: 'Models and LoRAs it may use; null: all that are visible to it.' })
const downloadRecipe = z.enum(downloadRecipes).meta({
  description: 'Whether new pictures carry prompt, seed and settings as PNG text.',
})

const carryOver = z.enum(carryOvers).meta({
  description: '`None`: what is left lapses with its month; `NextMonth`: a month later.',
})
const monthlyBudget = z
  .strictObject({
    credits: z
      .string()
      .max(13)
      .regex(/^[0-9]{1,6}(\.[0-9]{1,6})?$/)
      .refine((text) => /[1-9]/.test(text), { error: 'must be more than 0' })
      .meta({ description: 'Decimal credits, such as "100" or "2.5"' }),
    carryOver,
  })
  .nullable()
  .meta({
    description:
      'Credits that its account gets each month of UTC; null: none. The first one is issued for ' +
      'the current month within a minute. A change counts from the next month.',
  })

/** The same rule as in the schema of the resource, said before it is asked. */
const namespace = labelName
  .refine((name) => !name.startsWith('kube-') && name !== systemNamespace, {
    error: 'must not be one of the cluster or of the platform itself',
  })
  .meta({ description: 'Where the api creates its jobs. It can never be changed.' })

const limits = z.strictObject({
  runningJobs: runningJobs.unwrap().nullable().optional(),
  runningJobsPerUser: runningJobsPerUser.unwrap().nullable().optional(),
  queuedJobs: queuedJobs.unwrap().nullable().optional(),
})

const exampleBudget = { credits: '100', carryOver: 'NextMonth' } as const
const exampleLimits = { runningJobs: 8, runningJobsPerUser: 4, queuedJobs: 500 }

export const newDepartment = z
  .strictObject({
    name: labelName,
    displayName,
    weight: weight.unwrap().optional(),
    namespace: namespace.optional(),
    limits: limits.optional(),
    managedBy: managedBy.unwrap().optional(),
    allowedModels: allowedModels.optional(),
    downloadRecipe: downloadRecipe.optional(),
    monthlyBudget: monthlyBudget.optional(),
  })
  .meta({
    examples: [
      { name: 'vision', displayName: 'Vision inspection', weight: 200, limits: exampleLimits },
    ],
  })
export type NewDepartmentRequest = z.infer<typeof newDepartment>

/** What is left out stays as it is; a limit that is null does not bind any more. */
export const departmentChange = z
  .strictObject({
    displayName: displayName.optional(),
    weight: weight.unwrap().optional(),
    limits: limits.optional(),
    managedBy: managedBy.unwrap().optional(),
    allowedModels: allowedModels.optional(),
    downloadRecipe: downloadRecipe.optional(),
    monthlyBudget: monthlyBudget.optional(),
    revision: z.int().min(0).optional().meta({
      description: 'What the change is based on; without it the last writer wins.',
    }),
  })
  .meta({
    examples: [
      { limits: { runningJobsPerUser: 2 }, downloadRecipe: 'Omitted', revision: 3 },
      { allowedModels: ['demo'] },
      { monthlyBudget: exampleBudget },
    ],
  })
export type DepartmentChangeRequest = z.infer<typeof departmentChange>

const nullableLimit = z.int().min(0).nullable()

/** Credits each month. */
export const budgetView = z.object({ credits: z.string(), carryOver: z.enum(carryOvers) })
export type BudgetView = z.infer<typeof budgetView>

export const departmentView = z
  .object({
    name: labelName,
    displayName: z.string(),
    /** Share of the GPUs relative to other departments. */
    weight: z.int(),
    namespace: labelName,
    /** A null one does not bind. */
    limits: z.object({
      runningJobs: nullableLimit,
      runningJobsPerUser: nullableLimit,
      queuedJobs: nullableLimit,
    }),
    /** `platform`: the fields above are set in its custom resource only. */
    managedBy: managedBy.unwrap(),
    allowedModels: z.array(labelName).nullable(),
    downloadRecipe: z.enum(downloadRecipes),
    monthlyBudget: budgetView.nullable(),
    /** How its custom resource stands. */
    resource: z.object({ ready: z.boolean(), reason: z.string(), message: z.string() }),
    /** Grows with every change. */
    revision: z.int(),
    creationTime: z.iso.datetime(),
    updateTime: z.iso.datetime(),
  })
  .meta({
    id: 'Department',
    examples: [
      {
        name: 'vision',
        displayName: 'Vision inspection',
        weight: 200,
        namespace: 'atelier-jobs',
        limits: exampleLimits,
        managedBy: 'api',
        allowedModels: null,
        downloadRecipe: 'Embedded',
        monthlyBudget: exampleBudget,
        resource: { ready: true, reason: 'Ready', message: 'The department’s namespace exists.' },
        revision: 3,
        creationTime: '2026-11-21T14:00:00.000Z',
        updateTime: '2026-11-22T09:30:00.000Z',
      },
    ],
  })
export type DepartmentView = z.infer<typeof departmentView>

export const departmentPage = z
  .object({ items: z.array(departmentView), next: z.string().nullable() })
  .meta({ id: 'DepartmentPage' })

const memberView = z
  .object({
    id: labelName,
    email: z.string(),
    name: z.string(),
    role: z.enum(roles),
    state: z.enum(userStates),
    /** May manage the department. */
    isAdmin: z.boolean(),
  })
  .meta({
    id: 'DepartmentMember',
    examples: [
      {
        id: 'u-01jd6z0c5m8k2v3n4p5q6r7s8t',
        email: 'mina@vision.example',
        name: 'Mina Moon',
        role: 'department_member',
        state: 'Active',
        isAdmin: false,
      },
    ],
  })
export type MemberView = z.infer<typeof memberView>

export const memberPage = z
  .object({ items: z.array(memberView), next: z.string().nullable() })
  .meta({ id: 'DepartmentMemberPage' })
