import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import type { AuditView } from '../../../shared/wire/system.ts'
import type { AuditReport } from '../../tasks/audit.ts'

/** Far more than a healthy system ever has; the number in `drift` is always the whole one. */
const differencesMax = 1000

export type SystemService = {
  /** Compares rows, custom resources, holds, entries and objects; changes nothing. */
  readonly audit: (caller: Caller) => Promise<AuditView>
}

export function createSystemService(audit: () => Promise<AuditReport>): SystemService {
  return {
    audit: async (caller) => {
      requirePermission(caller, 'system.audit')
      const { drift, differences, checked } = await audit()
      return { drift, differences: differences.slice(0, differencesMax), checked }
    },
  }
}
