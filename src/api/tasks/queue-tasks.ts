import type { RunTask } from '../../platform/queue/queue.ts'
import { AppError } from '../../shared/errors.ts'

/** Every task that goes through the queue. */
export const taskNames = ['mail.send'] as const
export type TaskName = (typeof taskNames)[number]

/** Puts a task into the queue, or drops it: whoever adds one adds it again later. */
export type AddTask = (task: TaskName, key: string) => void

export type TaskHandler = {
  readonly task: TaskName
  /** Must be safe to run twice, also at the same time. Throws to be called again later. */
  readonly run: (key: string) => Promise<void>
}

/**
 * One function for all tasks, made of exactly one handler for each.
 * @throws AppError platform.misconfigured naming the tasks without a handler, those with several,
 * and handlers of tasks that are not in the list.
 */
export function routeTasks(handlers: readonly TaskHandler[]): RunTask {
  const byTask = Map.groupBy(handlers, ({ task }): string => task)
  const faults = [...new Set([...taskNames, ...byTask.keys()])].flatMap((task) =>
    faultsOf(task, byTask.get(task)?.length ?? 0),
  )
  if (faults.length > 0) throw new AppError('platform.misconfigured', faults.join('; '))
  return async (task, key) => {
    const [handler] = byTask.get(task) ?? []
    // Added by a newer replica, which will take it at one of the next attempts.
    if (handler === undefined) throw new AppError('platform.misconfigured', `no task ${task}`)
    await handler.run(key)
  }
}

function faultsOf(task: string, count: number): readonly string[] {
  const isKnown = taskNames.some((name) => name === task)
  if (!isKnown) return [`the handled task ${task} is not in the list`]
  return count === 1 ? [] : [`the task ${task} has ${count} handlers instead of one`]
}
