import type { KubeClient } from '../../platform/kube/client.ts'
import type { Lister } from '../../platform/kube/list-watch.ts'
import { patchStatus } from '../../platform/kube/objects.ts'
import { departments, type Namespace } from '../../platform/kube/resources.ts'
import type { Outcome } from '../../platform/kube/work-queue.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Department } from '../../shared/crd/department.ts'
import { decideDepartment } from './decide.ts'

export type DepartmentParts = {
  readonly client: KubeClient
  readonly caches: {
    readonly departments: Lister<Department>
    readonly namespaces: Lister<Namespace>
  }
  readonly clock: Clock
}

/** Writes whether the Department's namespace exists and is its own. */
export async function reconcileDepartment(parts: DepartmentParts, name: string): Promise<Outcome> {
  const { caches, client, clock } = parts
  const department = caches.departments.get(name)
  if (department === undefined || department.metadata.deletionTimestamp !== undefined) {
    return { kind: 'Done' }
  }
  const namespace = caches.namespaces.get(department.spec.namespace)
  const status = decideDepartment({ department, namespace, nowMs: clock.nowMs() })
  if (status !== undefined) await patchStatus(client, departments, { object: department, status })
  return { kind: 'Done' }
}
