/** Schedulers that jobs may name: the words of the web console and of AUTOMATIC1111. */
export const schedulerNames = [
  'DDIM',
  'DDPM',
  'DPM++ 2M',
  'DPM++ 2M Karras',
  'DPM++ 2M SDE',
  'DPM++ 2M SDE Karras',
  'DPM++ SDE',
  'DPM++ SDE Karras',
  'DPM2',
  'DPM2 Karras',
  'DPM2 a',
  'DPM2 a Karras',
  'Euler',
  'Euler a',
  'Heun',
  'LCM',
  'LMS',
  'LMS Karras',
  'PNDM',
  'TCD',
  'UniPC',
] as const
export type SchedulerName = (typeof schedulerNames)[number]

export function isSchedulerName(name: string): name is SchedulerName {
  return schedulerNames.some((known) => known === name)
}
