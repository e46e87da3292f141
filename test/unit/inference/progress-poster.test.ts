import { afterEach, describe, expect, test } from 'vitest'
import {
  ProgressPoster,
  type ProgressPosterOptions,
  type Snapshot,
} from '../../../src/inference/pod/progress-poster.ts'
import type { Progress } from '../../../src/shared/wire/internal.ts'

const posters: ProgressPoster[] = []
afterEach(() => Promise.all(posters.splice(0).map((poster) => poster.stop())))

function open(options: Partial<ProgressPosterOptions>): ProgressPoster {
  const poster = new ProgressPoster({
    post: async () => {},
    pauseMs: 1,
    heartbeatMs: 60_000,
    onError: () => {},
    ...options,
  })
  posters.push(poster)
  return poster
}

function snapshot(stepsDone: number): Snapshot {
  return { stage: 'Denoising', step: 0, steps: 100, imagesDone: 0, images: 1, stepsDone }
}

/** Collects posts and fulfils `reached` at the wanted number of them. */
function collect(wanted: number) {
  const posts: Progress[] = []
  const { promise: reached, resolve } = Promise.withResolvers<void>()
  const post = async (progress: Progress) => {
    posts.push(progress)
    if (posts.length === wanted) resolve()
  }
  return { posts, post, reached }
}

const brief = (posts: readonly Progress[]) =>
  posts.map(({ sequence, stepsDone }) => [sequence, stepsDone])

describe('ProgressPoster', () => {
  test('posts the newest snapshot and drops those between', async () => {
    const { posts, post, reached } = collect(2)
    const poster = open({ post })
    for (const step of [1, 2, 3, 4]) poster.update(snapshot(step))
    await reached
    expect(brief(posts)).toEqual([
      [1, 1],
      [2, 4],
    ])
  })

  test('counts from where an earlier container of the pod can never have come', async () => {
    const { posts, post, reached } = collect(1)
    open({ post, firstSequence: 1_000_000 }).update(snapshot(1))
    await reached
    expect(brief(posts)).toEqual([[1_000_000, 1]])
  })

  test('posts an unchanged snapshot again as a sign of life', async () => {
    const { posts, post, reached } = collect(3)
    open({ post, heartbeatMs: 1 }).update(snapshot(7))
    await reached
    expect(brief(posts)).toEqual([
      [1, 7],
      [2, 7],
      [3, 7],
    ])
  })

  test('goes on after a failed post with a larger sequence', async () => {
    const { posts, post, reached } = collect(2)
    const errors: unknown[] = []
    const failFirst = async (progress: Progress) => {
      await post(progress)
      if (progress.sequence === 1) throw new Error('no answer')
    }
    const poster = open({ post: failFirst, onError: (error) => errors.push(error) })
    poster.update(snapshot(1))
    poster.update(snapshot(2))
    await reached
    expect(brief(posts).at(-1)).toEqual([2, 2])
    expect(errors).toHaveLength(1)
  })

  test('posts nothing after its stop', async () => {
    const { posts, post } = collect(2)
    const poster = open({ post })
    poster.update(snapshot(1))
    await poster.stop()
    poster.update(snapshot(2))
    expect(brief(posts)).toEqual([[1, 1]])
  })
})
