import { departmentRules } from '../../../src/shared/crd/department.ts'
import { generationJobRules } from '../../../src/shared/crd/generation-job-rules.ts'
import { modelPoolRules } from '../../../src/shared/crd/model-pool.ts'
import { modelRules } from '../../../src/shared/crd/model-rules.ts'
import type { Rule, RulesByPlace } from '../../../src/shared/crd/rules.ts'
import { apiGroupVersion } from '../../../src/shared/names.ts'
import { assert } from '../../../src/shared/assert.ts'
import { verdictOf, type Verdict } from './api-server.ts'
import { type Fixture, randomName, resourceVersionOf } from './fixture.ts'
import type { Manifest } from './objects.ts'
import { departmentExamples, modelExamples, modelPoolExamples } from './cluster-rule-examples.ts'
import { changed } from './places.ts'
import {
  type Attempt,
  generationJobExamples,
  isUpdate,
  type RuleExamples,
  type Update,
} from './rule-examples.ts'

export type RuleCase = {
  readonly kind: string
  readonly place: string
  readonly name: string
  readonly rule: Rule
  readonly examples: RuleExamples
}

type ExamplesByPlace = Readonly<Record<string, Readonly<Record<string, RuleExamples>>>>

function casesOf(kind: string, rules: RulesByPlace, examples: ExamplesByPlace): RuleCase[] {
  return Object.entries(rules).flatMap(([place, byName]) =>
    Object.entries(byName).map(([name, rule]) => {
      const found = examples[place]?.[name]
      assert(found, `${kind} ${place} ${name} has examples`)
      return { kind, place, name, rule, examples: found }
    }),
  )
}

/** Every CEL rule of every kind, with its examples. */
export const ruleCases: readonly RuleCase[] = [
  ...casesOf('GenerationJob', generationJobRules, generationJobExamples),
  ...casesOf('Model', modelRules, modelExamples),
  ...casesOf('Department', departmentRules, departmentExamples),
  ...casesOf('ModelPool', modelPoolRules, modelPoolExamples),
]

/** What a refusal by the rule names; of a list, the examples offend in the first member. */
export function fieldOfRule({ place, rule }: RuleCase): string {
  return (place.replaceAll('[]', '[0]') + (rule.fieldPath ?? '')).replace(/^\./, '')
}

/** What the API server says to an attempt, under our group or another that has the same kinds. */
export async function judgeAttempt(
  fixture: Fixture,
  attempt: Attempt,
  group = apiGroupVersion,
): Promise<Verdict> {
  if (!isUpdate(attempt)) return fixture.judge({ ...attempt, apiVersion: group })
  return judgeUpdate(fixture, attempt, group)
}

async function judgeUpdate(fixture: Fixture, update: Update, group: string): Promise<Verdict> {
  const metadata = { name: randomName() }
  const { status, ...before } = { ...update.before, apiVersion: group, metadata }
  const { server } = fixture
  const path = `${fixture.collection(before.kind, group)}/${metadata.name}`
  const created = await fixture.create(before)
  const subresource = status === undefined ? '' : '/status'
  const version = resourceVersionOf(
    status === undefined
      ? created
      : await server.call({ method: 'PATCH', path: path + subresource, ...mergePatch({ status }) }),
  )
  const after: Manifest = { ...update.after, apiVersion: group, metadata }
  const answer = await server.call({
    method: 'PUT',
    path: path + subresource,
    query: { dryRun: 'All', fieldValidation: 'Strict' },
    body: changed(after, ['metadata', 'resourceVersion'], version),
  })
  await server.call({ method: 'DELETE', path })
  return verdictOf(answer)
}

function mergePatch(body: unknown) {
  return { body, contentType: 'application/merge-patch+json' }
}
