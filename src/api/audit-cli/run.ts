import { randomBytes } from 'node:crypto'
import type { AuditConfig } from '../../platform/config/audit.ts'
import { openKubeClient } from '../../platform/kube/client.ts'
import { type Database, openDatabase } from '../../platform/mongo/database.ts'
import { openFolderStore } from '../../platform/objects/folder-store.ts'
import type { Clock } from '../../shared/clock.ts'
import { newJobId } from '../../shared/domain/job-id.ts'
import { createAuditLogStore } from '../features/audit-log/store.ts'
import { createAuditTrail } from '../features/audit-log/trail.ts'
import { createDepartmentStore, type DepartmentStore } from '../features/departments/store.ts'
import { type AuditReport, openAuditor } from '../tasks/audit/auditor.ts'
import { auditDepsOf } from '../tasks/audit/open.ts'

const timeoutMs = 10_000

/** One full audit on connections of its own. Errors: `platform.unavailable`, those of the cluster. */
export async function auditOnce(config: AuditConfig, clock: Clock): Promise<AuditReport> {
  const { mongodbUri, kubeconfigPath, objectsFolder, installation } = config
  const kube = openKubeClient({ kubeconfigPath, userAgent: 'atelier-audit' })
  try {
    const database = await openDatabase({ uri: mongodbUri, timeoutMs })
    try {
      const departmentStore = departmentsOf(database, clock)
      const objects = await openFolderStore(objectsFolder)
      const parts = { database, kube, objects, departmentStore, installation, clock }
      return await openAuditor(auditDepsOf(parts)).full()
    } finally {
      await database.close()
    }
  } finally {
    await kube.close()
  }
}

/** Reads only: its trail is never written to. */
function departmentsOf(database: Database, clock: Clock): Pick<DepartmentStore, 'page'> {
  const newId = () => newJobId(clock.nowMs(), randomBytes)
  const trail = createAuditTrail({ store: createAuditLogStore(database), clock, newId })
  return createDepartmentStore(database, { trail, clock })
}
