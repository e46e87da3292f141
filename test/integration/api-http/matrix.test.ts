import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCodes } from '../../../src/api/features/codes/service.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { deleteObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { departments } from '../../../src/platform/kube/resources.ts'
import { type LocalIssuer, startLocalIssuer } from '../../support/local-issuer.ts'
import { startApi, type TestApi } from './harness.ts'
import { openCast } from './matrix-cast.ts'
import { creditRecipes, fundDepartments } from './matrix-credits.ts'
import { joiningRecipes } from './matrix-joining.ts'
import { addModel, openMakers, removeModel } from './matrix-objects.ts'
import { memberRecipes } from './matrix-recipes.ts'
import { type Matrix, openMatrix } from './matrix-run.ts'
import { type OperationAt, operationsOf, readDocument } from './openapi-document.ts'

const recipes = { ...memberRecipes, ...joiningRecipes, ...creditRecipes }
/** Lists first: while there is little, everything is on their first page. */
const names = Object.keys(recipes).toSorted(
  (a, b) => Number(b.startsWith('list')) - Number(a.startsWith('list')),
)
/** Routes that the document leaves out, and what everybody gets there without a ticket. */
const hidden: Readonly<Record<string, number>> = {
  'GET /openapi.json': 200,
  'GET /docs': 301,
  'GET /docs/': 200,
  'GET /docs/js/scalar.js': 200,
  'GET /v1/ws': 400,
}

const clientId = 'atelier-console'
let api: TestApi
let issuer: LocalIssuer
let matrix: Matrix
let operations: ReadonlyMap<string, OperationAt>
beforeAll(async () => {
  issuer = await startLocalIssuer(clientId)
  const company = { name: 'company', displayName: 'Company', kind: 'Oidc', clientId } as const
  api = await startApi({ issuers: [{ ...company, issuer: issuer.address }] })
  await addModel(api)
  const cast = await openCast(api)
  await fundDepartments(api)
  const codes = createCodes({
    ...api.core.people,
    database: api.core.database,
    clock: systemClock,
    randomBytes,
    rateLimits: false,
  })
  const document = readDocument((await api.call({ url: '/openapi.json' })).json())
  operations = new Map(operationsOf(document).map((one) => [one.operation.operationId, one]))
  matrix = openMatrix({ api, cast, codes, issuer }, openMakers(api, cast))
})
afterAll(async () => {
  await removeNewDepartments()
  await removeModel(api)
  await api.close()
  await issuer.close()
})

/** Their custom resources outlive the database. */
async function removeNewDepartments(): Promise<void> {
  const { quality } = api.surroundings
  await api.core.departmentSync.stop()
  for (const { metadata } of await listObjects(api.admin, departments)) {
    if (metadata.name.startsWith(`${quality}-`)) {
      await deleteObject(api.admin, departments, { name: metadata.name })
    }
  }
}

test('every operation of the document has a recipe, and every recipe an operation', () => {
  expect([...operations.keys()].toSorted()).toEqual(Object.keys(recipes).toSorted())
})

test('every route has the permission of its recipe', () => {
  const declared = new Map(
    api.api.routes.map((one) => [`${one.method} ${one.url}`, one.permission]),
  )
  const wanted = [...operations].map(([name, { method, path }]) => {
    const [recipe] = [recipes[name] ?? []].flat()
    const url = path.replace('{key}', '*').replaceAll(/\{(\w+)\}/g, ':$1')
    return [name, declared.get(`${method.toUpperCase()} ${url}`), recipe?.permission]
  })
  expect(wanted.filter(([, route, recipe]) => route !== recipe)).toEqual([])
})

test('no route is left out of the document but these', () => {
  const outside = api.api.routes.filter((route) => route.hidden)
  expect(outside.map(({ method, url }) => `${method} ${url}`).toSorted()).toEqual(
    Object.keys(hidden).toSorted(),
  )
})

describe('everybody is answered as the rules say', () => {
  test.each(names)('%s', async (name) => {
    const operation = operations.get(name)
    if (operation === undefined) throw new Error(`there is no operation ${name}`)
    const faults: string[] = []
    for (const recipe of [recipes[name] ?? []].flat()) {
      faults.push(...(await matrix.tryOut(operation, recipe)))
    }
    expect(faults).toEqual([])
  })

  test.each(Object.entries(hidden))('%s', async (route, status) => {
    const [, url = ''] = route.split(' ')
    expect(await matrix.tryHidden(url, status)).toEqual([])
  })
})

test('nothing was touched that a refused request named', async () => {
  const { kept, changed } = await matrix.compareKept()
  expect(changed).toEqual([])
  expect(kept).toBeGreaterThan(100)
})

test('2,800 requests were tried', () => {
  expect(matrix.cells()).toBeGreaterThan(2800)
})
