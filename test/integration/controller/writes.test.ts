import { describe, expect, it } from 'vitest'
import { listObjects } from '../../../src/platform/kube/objects.ts'
import { models } from '../../../src/platform/kube/resources.ts'
import { eventually } from '../../support/eventually.ts'
import { dyingAfter } from './dying-client.ts'
import { completes, reportWith, until } from './scene.ts'
import { createWorld } from './world.ts'

describe('writes', () => {
  it('of a job that succeeds at once are five status patches or fewer', async () => {
    const counting = dyingAfter(Infinity)
    const world = await createWorld({ behaviour: () => completes })
    try {
      await world.startController(counting.wrap)
      await eventually(async () => {
        const [model] = await listObjects(world.admin, models, {
          fieldSelector: `metadata.name=${world.model}`,
        })
        expect(model?.status?.conditions?.[0]?.status).toBe('True')
      })
      await world.createJob()
      await until(world, { type: 'Succeeded', is: 'True/Completed' })
      const patches = counting.writes.filter((write) =>
        write.endsWith('/generationjobs/job/status'),
      )
      expect(patches.length).toBeLessThanOrEqual(5)
      expect(counting.writes.length).toBeLessThan(12)
    } finally {
      await world.close()
    }
  })

  it('of a job that ends stay as they are: nothing more is written afterwards', async () => {
    const counting = dyingAfter(Infinity)
    const world = await createWorld({ behaviour: () => completes })
    try {
      await world.startController(counting.wrap)
      const { metadata } = await world.createJob()
      const ended = await until(world, { type: 'Succeeded', is: 'True/Completed' })
      world.api.setReport(metadata.uid, 1, reportWith('Failed'))
      await world.patchSpec('job', { cancel: true })
      const after = await eventually(async () => {
        const job = await world.getJob('job')
        expect(job.status?.observedGeneration).toBe(job.metadata.generation)
        return job
      })
      expect(after.status?.conditions).toEqual(ended.status?.conditions)
    } finally {
      await world.close()
    }
  })
})
