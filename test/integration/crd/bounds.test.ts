import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { assert } from '../../../src/shared/assert.ts'
import { definitionOf, at } from '../../../tools/crds/definition.ts'
import { kinds } from '../../../tools/crds/kinds.ts'
import { verdictOf, type Verdict } from './api-server.ts'
import { type Bound, boundsOf } from './bounds.ts'
import { type Fixture, openFixture, randomName, resourceVersionOf } from './fixture.ts'
import { accepted, type Manifest, statuses } from './objects.ts'
import { changed, fieldOf, type Path, pathsAt, valueAt } from './places.ts'

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture()
})

afterAll(async () => {
  await fixture.close()
})

/** One place of one object that is accepted as it stands. */
type Example = { readonly object: Manifest; readonly path: Path }

function examplesOf(objects: readonly Manifest[], place: string): Example[] {
  return objects.flatMap((object) => pathsAt(object, place).map((path) => ({ object, path })))
}

type Judge = (object: Manifest) => Promise<Verdict>

/** What is wrong with a bound; nothing when it lets its limits through and nothing beyond. */
async function boundFaults(
  examples: readonly Example[],
  bound: Bound,
  judge: Judge,
): Promise<string[]> {
  const [first] = examples
  if (first === undefined) return [`no example has ${bound.place}`]
  return [
    ...(await beyondFaults(first, bound, judge)),
    ...(await limitFaults(examples, bound, judge)),
  ]
}

async function beyondFaults(
  { object, path }: Example,
  bound: Bound,
  judge: Judge,
): Promise<string[]> {
  const field = [fieldOf(path), bound.member].filter(Boolean).join('.')
  const faults: string[] = []
  for (const value of bound.values(valueAt(object, path)).refused) {
    const verdict = await judge(changed(object, path, value))
    if (verdict.accepted) faults.push(`${field} accepts ${JSON.stringify(value)}`)
    else if (!verdict.message.includes(field)) faults.push(`${field}: ${verdict.message}`)
  }
  return faults
}

/** Other fields of an example may forbid a limit (min ≤ max): some example must allow it. */
async function limitFaults(
  examples: readonly Example[],
  bound: Bound,
  judge: Judge,
): Promise<string[]> {
  const rows = examples.map(({ object, path }) =>
    bound.values(valueAt(object, path)).accepted.map((value) => changed(object, path, value)),
  )
  const faults: string[] = []
  for (const index of rows[0]?.keys() ?? []) {
    const refusal = await refusalOfAll(
      rows.flatMap((row) => row.slice(index, index + 1)),
      judge,
    )
    if (refusal !== undefined) faults.push(`limit ${index}: ${refusal}`)
  }
  return faults
}

async function refusalOfAll(
  objects: readonly Manifest[],
  judge: Judge,
): Promise<string | undefined> {
  let refusal = 'there is no object'
  for (const object of objects) {
    const verdict = await judge(object)
    if (verdict.accepted) return undefined
    refusal = verdict.message
  }
  return refusal
}

describe.each(kinds)('$kind', (kind) => {
  const [version] = definitionOf(kind).spec.versions
  assert(version, 'the definition has a version')
  const root = version.schema.openAPIV3Schema
  const objects = accepted[kind.plural] ?? []

  const specBounds = [
    ...boundsOf(at(root, 'metadata.name'), 'metadata.name').filter(
      // Metadata is decoded before any schema is asked, with messages of its own.
      ({ keyword }) => keyword !== 'type',
    ),
    ...boundsOf(at(root, 'spec'), 'spec'),
  ]

  it.each(specBounds)('limits $place by $keyword', async (bound) => {
    expect(await boundFaults(examplesOf(objects, bound.place), bound, fixture.judge)).toEqual([])
  })

  it.each(objects.map((object, index) => [index, object] as const))(
    'accepts example %i',
    async (_index, object) => {
      expect(await fixture.judge(object)).toMatchObject({ accepted: true })
    },
  )

  it('needs a spec', async () => {
    const [object] = objects
    assert(object, 'there is an example')
    const verdict = await fixture.judge(changed(object, ['spec'], undefined))
    expect(verdict).toMatchObject({ accepted: false, message: expect.stringContaining('spec') })
  })

  it('refuses fields that it does not know', async () => {
    const [object] = objects
    assert(object, 'there is an example')
    const verdict = await fixture.judge(changed(object, ['spec', 'surprise'], 1))
    expect(verdict).toMatchObject({
      accepted: false,
      message: expect.stringContaining('unknown field "spec.surprise"'),
    })
  })

  describe('status', () => {
    let path: string
    let stored: Manifest
    let judgeStatus: Judge

    beforeAll(async () => {
      const [object] = objects
      assert(object, 'there is an example')
      const named = changed(object, ['metadata', 'name'], randomName())
      const stamp = resourceVersionOf(await fixture.create(named))
      path = `${fixture.collection(kind.kind)}/${named.metadata.name}`
      stored = {
        ...changed(named, ['metadata', 'resourceVersion'], stamp),
        status: statuses[kind.plural] ?? {},
      }
      judgeStatus = async (body) =>
        verdictOf(
          await fixture.server.call({
            method: 'PUT',
            path: `${path}/status`,
            query: { dryRun: 'All', fieldValidation: 'Strict' },
            body,
          }),
        )
    })

    afterAll(async () => {
      await fixture.server.call({ method: 'DELETE', path })
    })

    it.each(boundsOf(at(root, 'status'), 'status'))('limits $place by $keyword', async (bound) => {
      expect(await boundFaults(examplesOf([stored], bound.place), bound, judgeStatus)).toEqual([])
    })
  })
})
