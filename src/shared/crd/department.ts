import { z } from 'zod'
import { jobsNamespace } from '../names.ts'
import { conditions, labelName, observedGeneration, type Resource } from './common.ts'
import { immutable, type RulesByPlace } from './rules.ts'

export const departmentSpec = z
  .object({
    displayName: z.string().min(1).max(128).describe('Name for people.').optional(),
    weight: z
      .int()
      .min(1)
      .max(1000)
      .describe('Share of the GPUs relative to other departments.')
      .default(100),
    namespace: labelName
      .describe('Where the api creates the jobs of this department. Immutable.')
      .default(jobsNamespace),
    limits: z
      .object({
        runningJobs: z.int().min(0).max(10_000).describe('Jobs that run at once.').optional(),
        runningJobsPerUser: z
          .int()
          .min(0)
          .max(10_000)
          .describe('Jobs of one user that run at once.')
          .optional(),
        queuedJobs: z
          .int()
          .min(0)
          .max(1_000_000)
          .describe('Jobs that wait: REST refuses more, kubectl is not bound.')
          .optional(),
      })
      .describe('Caps of the department; an absent one does not bind.')
      .optional(),
    managedBy: z
      .enum(['api', 'platform'])
      .describe('platform: this object is the truth and REST edits of its fields are refused.')
      .default('api'),
  })
  .describe('Scheduling side of a department.')
export type DepartmentSpec = z.infer<typeof departmentSpec>

export const departmentStatus = z
  .object({
    observedGeneration: observedGeneration.optional(),
    conditions: conditions.optional(),
  })
  .describe('Written by the controller only.')
export type DepartmentStatus = z.infer<typeof departmentStatus>

export type Department = Resource<DepartmentSpec, DepartmentStatus>

/**
 * Jobs stay where they were created, so a department cannot move.
 * `namespace` is a reserved word of CEL and is written with underscores there.
 */
export const departmentRules = {
  spec: {
    namespaceImmutable: {
      ...immutable('__namespace__'),
      message: 'namespace is immutable: jobs stay where they were created',
      fieldPath: '.namespace',
    },
    namespaceIsNotSystem: {
      rule: "!self.__namespace__.startsWith('kube-') && self.__namespace__ != 'atelier-system'",
      message: 'namespace must not be one of the cluster or of the platform itself',
      fieldPath: '.namespace',
    },
  },
} as const satisfies RulesByPlace
