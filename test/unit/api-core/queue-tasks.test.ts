import { describe, expect, test } from 'vitest'
import { routeTasks, type TaskHandler, taskNames } from '../../../src/api/tasks/queue-tasks.ts'

const calls: string[] = []
const complete: readonly TaskHandler[] = taskNames.map((task) => ({
  task,
  run: async (key) => void calls.push(`${task} ${key}`),
}))
/** As a later version, or a typing mistake behind a cast, would have it. */
const unknown = { task: 'mail.burn', run: async () => undefined } as unknown as TaskHandler

describe('the handlers of tasks', () => {
  test('are found by name when each task has one', async () => {
    await routeTasks(complete)('mail.send', 'm1')
    expect(calls).toEqual(['mail.send m1'])
  })

  test.each([
    ['one is missing', complete.slice(1), /the task mail\.send has 0 handlers instead of one/],
    ['one is there twice', [...complete, ...complete], /the task mail\.send has 2 handlers/],
    ['one is for no known task', [...complete, unknown], /mail\.burn is not in the list/],
    ['all of it', [unknown], /mail\.send has 0 handlers.*mail\.burn is not in the list/],
  ])('stop the api when %s', (_, handlers, message) => {
    expect(() => routeTasks(handlers)).toThrow(
      expect.objectContaining({
        code: 'platform.misconfigured',
        message: expect.stringMatching(message),
      }),
    )
  })

  test('refuse a task of a newer version, so that it is tried elsewhere', async () => {
    await expect(routeTasks(complete)('mail.read', 'm1')).rejects.toThrow('no task mail.read')
  })
})
