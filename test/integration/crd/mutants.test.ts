import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { assert } from '../../../src/shared/assert.ts'
import { apiVersion } from '../../../src/shared/names.ts'
import { at, definitionOf } from '../../../tools/crds/definition.ts'
import { kinds } from '../../../tools/crds/kinds.ts'
import { type Fixture, openFixture, plurals, randomName } from './fixture.ts'
import { judgeAttempt, type RuleCase, ruleCases } from './rules.ts'

/**
 * Proof that each rule is needed: the same definition without it, under a group of its own, takes
 * what the rule refuses. So no test of a rule passes because another rule refuses too.
 */
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const run = randomName()

const mutants = ruleCases.map((ruleCase, index) => ({
  ruleCase,
  group: `rule-${index}.${run}.mutants.example`,
  title: `${ruleCase.kind} ${ruleCase.place} ${ruleCase.name}`,
}))

function mutantOf({ kind, place, rule }: RuleCase, group: string) {
  const found = kinds.find((candidate) => candidate.kind === kind)
  assert(found, `${kind} is ours`)
  const definition = definitionOf(found)
  const [version] = definition.spec.versions
  assert(version, 'the definition has a version')
  const schema = at(version.schema.openAPIV3Schema, place)
  const validations = schema['x-kubernetes-validations']
  assert(Array.isArray(validations), 'the place has rules')
  const kept = validations.filter(({ message }) => message !== rule.message)
  assert(kept.length === validations.length - 1, 'messages tell the rules of a place apart')
  schema['x-kubernetes-validations'] = kept
  const { shortNames: _short, categories: _categories, ...names } = definition.spec.names
  const metadata = { name: `${names.plural}.${group}` }
  return { ...definition, metadata, spec: { ...definition.spec, group, names } }
}

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture()
  const answers = await Promise.all(
    mutants.map(({ ruleCase, group }) =>
      fixture.server.call({
        method: 'POST',
        path: definitions,
        body: mutantOf(ruleCase, group),
      }),
    ),
  )
  for (const { status, body } of answers) assert(status === 201, JSON.stringify(body))
  for (const { ruleCase, group } of mutants) await served(ruleCase.kind, group)
})

afterAll(async () => {
  await Promise.all(
    mutants.map(({ ruleCase, group }) =>
      fixture.server.call({
        method: 'DELETE',
        path: `${definitions}/${plurals[ruleCase.kind]}.${group}`,
      }),
    ),
  )
  await fixture.close()
})

/** A new kind is served a moment after it is registered. */
async function served(kind: string, group: string): Promise<void> {
  const path = fixture.collection(kind, `${group}/${apiVersion}`)
  for (let attempt = 0; attempt < 600; attempt += 1) {
    if ((await fixture.server.call({ method: 'GET', path })).status === 200) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${path} is not served after 30 s`)
}

describe.each(mutants)('without $title', ({ ruleCase, group }) => {
  const { accepted, refused } = ruleCase.examples

  it('takes what the rule refuses', async () => {
    for (const attempt of [...refused, ...accepted]) {
      const verdict = await judgeAttempt(fixture, attempt, `${group}/${apiVersion}`)
      expect({ attempt, verdict }).toMatchObject({ verdict: { accepted: true } })
    }
  })
})
