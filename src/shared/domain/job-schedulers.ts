/** Schedulers that this release serves, by the names that people know from other front ends. */
export const schedulerNames = ['DDIM', 'Euler', 'DPM++ 2M Karras'] as const
export type SchedulerName = (typeof schedulerNames)[number]

export function isSchedulerName(name: string): name is SchedulerName {
  return schedulerNames.some((known) => known === name)
}
