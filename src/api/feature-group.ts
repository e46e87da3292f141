import type { RegisterRoutes } from './app.ts'
import type { LeaderTask } from './people.ts'

/** Features that were put together: what they serve, and what one replica does for them. */
export type FeatureGroup = {
  readonly routes: readonly RegisterRoutes[]
  readonly leaderTasks: readonly LeaderTask[]
}
