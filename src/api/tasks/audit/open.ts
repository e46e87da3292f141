import { setTimeout as pause } from 'node:timers/promises'
import type { KubeClient } from '../../../platform/kube/client.ts'
import { listObjects } from '../../../platform/kube/objects.ts'
import { departments, generationJobs } from '../../../platform/kube/resources.ts'
import type { Database } from '../../../platform/mongo/database.ts'
import type { ObjectStore } from '../../../platform/objects/store.ts'
import type { Clock } from '../../../shared/clock.ts'
import { departmentSelector } from '../../caches.ts'
import type { DepartmentStore } from '../../features/departments/store.ts'
import type { AuditDeps } from './auditor.ts'
import { openAuditStore } from './store.ts'

export type AuditParts = {
  readonly database: Database
  readonly kube: KubeClient
  readonly objects: Pick<ObjectStore, 'head' | 'list'>
  readonly departmentStore: Pick<DepartmentStore, 'page'>
  readonly installation?: string | undefined
  readonly clock: Clock
  /** Ends audits that run. */
  readonly signal?: AbortSignal
}

/** What an audit looks at: one database, one object store and our part of the cluster. */
export function auditDepsOf(parts: AuditParts): AuditDeps {
  const { kube, database, installation, signal } = parts
  const labelSelector = departmentSelector(installation)
  const listDepartments = async () => await listObjects(kube, departments, { labelSelector })
  return {
    ...parts,
    auditStore: openAuditStore(database, signal),
    listDepartments,
    listJobs: async () => {
      const jobs = await listObjects(kube, generationJobs)
      if (installation === undefined) return jobs
      // Where several installations share a cluster, each has its own departments.
      const names = new Set((await listDepartments()).map(({ metadata }) => metadata.name))
      return jobs.filter(({ spec }) => names.has(spec.owner.department))
    },
    pause: async (ms) => await pause(ms, undefined, { signal }),
  }
}
