import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Fixture, openFixture } from './fixture.ts'
import { fieldOfRule, judgeAttempt, ruleCases } from './rules.ts'

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture()
})

afterAll(async () => {
  await fixture.close()
})

describe.each(ruleCases)('$kind rule $place $name', (ruleCase) => {
  const { accepted, refused } = ruleCase.examples

  it.each(accepted.map((attempt, index) => ({ attempt, index })))(
    'accepts example $index',
    async ({ attempt }) => {
      expect(await judgeAttempt(fixture, attempt)).toMatchObject({ accepted: true })
    },
  )

  it.each(refused.map((attempt, index) => ({ attempt, index })))(
    'refuses example $index and names the field',
    async ({ attempt }) => {
      expect(await judgeAttempt(fixture, attempt)).toMatchObject({
        accepted: false,
        status: 422,
        message: expect.stringContaining(ruleCase.rule.message),
        fields: [fieldOfRule(ruleCase)],
      })
    },
  )
})
