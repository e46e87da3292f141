import type { CurrentSettings } from '../settings/current.ts'
import type { LeaderTask } from '../../people.ts'
import { removeRetired, rotateWhenDue, type RotationParts } from './rotate.ts'

/** Rotation and removal, done by one replica for all. */
export function signingKeyTasks(parts: RotationParts, settings: CurrentSettings): LeaderTask {
  return {
    name: 'rotate-signing-keys',
    everyMs: 60_000,
    run: async () => {
      const { signingKeyDays } = await settings()
      await rotateWhenDue(parts, signingKeyDays)
      await removeRetired(parts)
    },
  }
}
