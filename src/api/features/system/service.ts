import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import type { AuditView } from '../../../shared/wire/system.ts'
import type { AuditReport } from '../../tasks/audit/auditor.ts'

/** Far more than a healthy system ever has; `drift` counts more, up to 10,000 of each check. */
const differencesMax = 1000

export type SystemService = {
  /**
   * Compares rows, custom resources, holds, entries and objects; changes nothing. Errors:
   * `platform.unavailable` when it could not look at everything.
   */
  readonly audit: (caller: Caller) => Promise<AuditView>
}

export function createSystemService(audit: () => Promise<AuditReport>): SystemService {
  const ask = oneAtATime(audit)
  return {
    audit: async (caller) => {
      requirePermission(caller, 'system.audit')
      const { drift, differences, checked, failed } = await ask()
      if (drift === null) {
        const checks = failed.map(({ check }) => check).join(', ')
        const cause = failed[0]?.error
        throw new AppError('platform.unavailable', `could not check: ${checks}`, { cause })
      }
      return { drift, differences: differences.slice(0, differencesMax), checked }
    },
  }
}

/** An audit reads everything there is: whoever asks while one runs gets its answer. */
function oneAtATime(audit: () => Promise<AuditReport>): () => Promise<AuditReport> {
  let running: Promise<AuditReport> | null = null
  return async () => {
    running ??= audit().finally(() => {
      running = null
    })
    return await running
  }
}
