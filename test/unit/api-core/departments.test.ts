import { describe, expect, it } from 'vitest'
import {
  editedValues,
  newValues,
  refusalOfEdit,
} from '../../../src/api/features/departments/edit.ts'
import type { ModelSpec } from '../../../src/shared/crd/model.ts'
import {
  type DepartmentField,
  departmentFields,
  differingFields,
  flattenDepartment,
  mayEditField,
} from '../../../src/shared/domain/department.ts'
import { isModelAllowed } from '../../../src/shared/domain/known-model.ts'
import { departmentChange, newDepartment } from '../../../src/shared/wire/departments.ts'

const name = 'vision'

describe('an edit of a department', () => {
  const all: readonly DepartmentField[] = [
    'displayName',
    'weight',
    'limits.runningJobs',
    'limits.runningJobsPerUser',
    'limits.queuedJobs',
    'managedBy',
    'allowedModels',
    'downloadRecipe',
    'monthlyBudget',
  ]

  it('takes what is said and leaves the rest', () => {
    const values = newValues(
      newDepartment.parse({ name, displayName: ' Vision ', limits: { runningJobs: 8 } }),
    )
    expect(values).toMatchObject({ displayName: 'Vision', weight: 100, limits: { runningJobs: 8 } })
    const edited = editedValues(values, { limits: { runningJobs: null, queuedJobs: 4 } })
    expect(edited.limits).toEqual({ queuedJobs: 4 })
    expect(differingFields(values, edited)).toEqual(['limits.runningJobs', 'limits.queuedJobs'])
    const narrowed = editedValues(values, { allowedModels: [] })
    expect(narrowed.allowedModels).toEqual([])
    expect(editedValues(narrowed, {}).allowedModels).toEqual([])
    expect(editedValues(narrowed, { allowedModels: null }).allowedModels).toBeNull()
  })

  it('sets a monthly budget, keeps it and takes it away', () => {
    const values = newValues(newDepartment.parse({ name, displayName: 'Vision' }))
    expect(values.monthlyBudget).toBeNull()
    const change = departmentChange.parse({
      monthlyBudget: { credits: '2.5', carryOver: 'NextMonth' },
    })
    const edited = editedValues(values, change)
    expect(edited.monthlyBudget).toEqual({ microCredits: 2_500_000, carryOver: 'NextMonth' })
    expect(differingFields(values, edited)).toEqual(['monthlyBudget'])
    expect(flattenDepartment(edited).monthlyBudget).toBe('2.5 NextMonth')
    expect(editedValues(edited, { weight: 2 }).monthlyBudget).toEqual(edited.monthlyBudget)
    expect(editedValues(edited, { monthlyBudget: null }).monthlyBudget).toBeNull()
  })

  it('is a super admin’s, or an admin’s for what is inside the department', () => {
    const own = all.filter((field) => mayEditField('department_admin', field))
    expect(own).toEqual([
      'displayName',
      'limits.runningJobsPerUser',
      'allowedModels',
      'downloadRecipe',
    ])
    expect(all.every((field) => mayEditField('super_admin', field))).toBe(true)
    expect(all.some((field) => mayEditField('department_member', field))).toBe(false)
    expect(Object.keys(departmentFields).toSorted()).toEqual([...all, 'namespace'].toSorted())
  })

  it('is refused with the name of each field', () => {
    const wish = { role: 'department_admin', isPlatforms: false } as const
    expect(refusalOfEdit({ ...wish, fields: ['displayName', 'downloadRecipe'] })).toBeNull()
    expect(refusalOfEdit({ ...wish, fields: ['weight', 'limits.queuedJobs'] })).toMatchObject({
      code: 'auth.forbidden',
      fields: [{ path: '/weight' }, { path: '/limits/queuedJobs' }],
    })
  })

  it('is refused where the platform manages, but not of what the resource lacks', () => {
    const wish = { role: 'super_admin', isPlatforms: true } as const
    expect(refusalOfEdit({ ...wish, fields: ['allowedModels', 'monthlyBudget'] })).toBeNull()
    expect(refusalOfEdit({ ...wish, fields: ['weight', 'downloadRecipe'] })).toMatchObject({
      code: 'department.managed_by_platform',
      fields: [{ path: '/weight' }],
    })
  })

  it.each([
    ['a namespace', { namespace: 'other' }],
    ['an unknown field', { wieght: 1 }],
    ['a weight of none', { weight: 0 }],
    ['too much weight', { weight: 1001 }],
    ['a limit below none', { limits: { runningJobs: -1 } }],
    ['a limit over all', { limits: { queuedJobs: 1_000_001 } }],
    ['a broken limit', { limits: { runningJobs: 1.5 } }],
    ['a control character', { displayName: 'a\u0000b' }],
    ['an empty name', { displayName: '   ' }],
    ['an object for a text', { displayName: { $gt: '' } }],
    ['a model of no valid name', { allowedModels: ['../x'] }],
    ['an unknown recipe policy', { downloadRecipe: 'Never' }],
    ['a budget of nothing', { monthlyBudget: { credits: '0.0', carryOver: 'None' } }],
    ['a budget below nothing', { monthlyBudget: { credits: '-1', carryOver: 'None' } }],
    ['a budget over all', { monthlyBudget: { credits: '1000000', carryOver: 'None' } }],
    ['a budget as a number', { monthlyBudget: { credits: 5, carryOver: 'None' } }],
    ['a budget that says nothing of what is left', { monthlyBudget: { credits: '5' } }],
    ['an unknown carry-over', { monthlyBudget: { credits: '5', carryOver: 'Always' } }],
  ])('does not take %s', (_what, body) => {
    expect(departmentChange.safeParse(body).success).toBe(false)
  })

  it.each(['kube-system', 'atelier-system', 'Not_a_label'])(
    'does not begin in the namespace %s',
    (namespace) => {
      expect(newDepartment.safeParse({ name, displayName: 'V', namespace }).success).toBe(false)
    },
  )
})

describe('the models of a department', () => {
  const spec: ModelSpec = {
    type: 'Base',
    family: 'StableDiffusion1',
    licence: 'Apache-2.0',
    tasks: ['TextToImage'],
    delivery: { type: 'Embedded', embedded: { path: 'demo' } },
    price: { perImageMicroCredits: 1 },
    resources: { gpus: 0, cpu: '1', memory: '1Gi' },
    runsOn: ['Cpu'],
    visibility: 'Public',
  }
  const metadata = { name, uid: 'm', generation: 1, resourceVersion: '1', creationTimestamp: '' }
  const hidden: ModelSpec = { ...spec, visibility: 'Departments', departments: ['other'] }

  it.each<[string, ModelSpec, readonly string[] | null, boolean]>([
    ['all that are visible without one', spec, null, true],
    ['those on it', spec, [name], true],
    ['none that is not on it', spec, ['other'], false],
    ['none at all when it is empty', spec, [], false],
    ['never one that is not visible', hidden, [name], false],
  ])('are by its own list %s', (_what, ...[model, allowedModels, expected]) => {
    expect(isModelAllowed({ metadata, spec: model }, { name, allowedModels })).toBe(expected)
  })
})
