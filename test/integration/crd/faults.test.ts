import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { generationJobFaults } from '../../../src/shared/crd/generation-job-rules.ts'
import { generationJobSpec, tasks } from '../../../src/shared/crd/generation-job.ts'
import { type Fixture, openFixture } from './fixture.ts'
import { image, jobOf, mask, reference } from './objects.ts'

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture()
})

afterAll(async () => {
  await fixture.close()
})

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 })
const foreign = { ...mask, object: { ...mask.object, key: 'imports/assembly/a.png' } }
const inputs = fc.array(
  fc.constantFrom(image, mask, reference, foreign, { role: 'Image' }, { ...image, ...mask }),
  { maxLength: 4 },
)

const specs = fc.record({
  task: fc.constantFrom(...tasks),
  owner: fc.record({
    department: fc.constant('vision'),
    user: maybe(fc.constant('kim')),
    limits: maybe(fc.constant({ runningJobs: 1 })),
  }),
  parameters: fc.record({
    prompt: maybe(fc.constantFrom('', 'a dent')),
    strength: maybe(fc.constantFrom(0, 0.5)),
    resizeMode: maybe(fc.constant('Fit')),
    maskBlur: maybe(fc.constant(0)),
    inpaintArea: maybe(fc.constant('Whole')),
    maskPadding: maybe(fc.constant(8)),
    keepUnmaskedPixels: maybe(fc.boolean()),
    promptSyntax: maybe(fc.constant('Plain')),
    promptOverflow: maybe(fc.constant('Chunk')),
    loras: maybe(fc.array(fc.record({ name: fc.constantFrom('rust', 'moss') }), { maxLength: 3 })),
  }),
  inputs: maybe(inputs),
})

it('finds in TypeScript the faults that the API server finds', async () => {
  await fc.assert(
    fc.asyncProperty(specs, async (changes) => {
      const object = jobOf('TextToImage', changes)
      const faults = generationJobFaults(generationJobSpec.parse(object.spec))
      const verdict = await fixture.judge(object)
      const named = verdict.accepted ? [] : verdict.fields
      expect(named.toSorted()).toEqual(faults.map(({ path }) => `spec.${path}`).toSorted())
    }),
    { numRuns: 300 },
  )
})
