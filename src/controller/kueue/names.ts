/** Words of Kueue that users, its webhooks and we agree on. Source: its `controller/constants`. */

export const kueueGroup = 'kueue.x-k8s.io'

export const kueueLabels = {
  /** Name of a LocalQueue in the job's namespace. */
  queue: `${kueueGroup}/queue-name`,
  /** Name of a WorkloadPriorityClass. */
  priorityClass: `${kueueGroup}/priority-class`,
  /** On a Workload: uid of its Job. */
  jobUid: `${kueueGroup}/job-uid`,
} as const
