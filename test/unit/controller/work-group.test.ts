import { expect, it } from 'vitest'
import { workGroupOf } from '../../../src/controller/generation-job/work-group.ts'
import { aJob } from './builders.ts'

const [placed, none] = [() => true, () => false]

it('jobs that wait take turns by owner in the queue of work', () => {
  const mine = aJob({ spec: { owner: { department: 'vision', user: 'kim' } } })
  const yours = aJob({ spec: { owner: { department: 'vision', user: 'lee' } } })
  expect(workGroupOf(mine, none)).toBe(workGroupOf(mine, none))
  expect(workGroupOf(mine, none)).not.toBe(workGroupOf(yours, none))
})

it.each([
  ['is gone', undefined, none],
  ['has a place', aJob(), placed],
  ['has an attempt', aJob({ status: { attempt: { number: 1 } } }), none],
])('a job that %s goes first', (_what, job, hasPlace) => {
  expect(workGroupOf(job, hasPlace)).toBeUndefined()
})
