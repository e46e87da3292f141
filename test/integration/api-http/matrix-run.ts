import type { LightMyRequestResponse } from 'fastify'
import { z } from 'zod'
import type { Call } from './harness.ts'
import type { MatrixCaller } from './matrix-cast.ts'
import type { Made, Makers, ObjectKind, Target } from './matrix-objects.ts'
import type { Kitchen, Recipe } from './matrix-recipes.ts'
import { type Place, type Relation, type Verdict, verdictOf } from './matrix-rules.ts'
import type { OperationAt } from './openapi-document.ts'

export type Matrix = {
  /** Sends the request of every caller about every object, and returns what was not as it must be. */
  readonly tryOut: (operation: OperationAt, recipe: Recipe) => Promise<readonly string[]>
  /** The same for an address that treats everybody alike. */
  readonly tryHidden: (url: string, status: number) => Promise<readonly string[]>
  /** The objects that no request was allowed to change, and those that are not as they were. */
  readonly compareKept: () => Promise<{ readonly kept: number; readonly changed: unknown[] }>
  readonly cells: () => number
}

type Cell = {
  readonly operation: OperationAt
  readonly recipe: Recipe
  readonly caller: MatrixCaller
  readonly relation: Relation
}
type Aim = { readonly verdict: Verdict; readonly target: Target }
type Outcome = Aim & {
  readonly cell: Cell
  readonly response: LightMyRequestResponse
}

export function openMatrix(kitchen: Kitchen, makers: Makers): Matrix {
  const { api, cast } = kitchen
  const objects = openObjects(kitchen, makers)
  let cells = 0
  const aim = async ({ operation, recipe, caller, relation }: Cell): Promise<Aim> => {
    const place = cast.placeOf(caller.person, relation)
    const verdict = verdictOf(recipe, place, caller.actor)
    const changes = operation.method !== 'get' && verdict === 'Good'
    const isFresh = (changes || recipe.permission === 'Public') && recipe.shows === undefined
    const target = isFresh
      ? await objects.fresh(recipe.fresh ?? recipe.object, place)
      : await objects.kept(recipe.object, place)
    return { verdict, target }
  }
  const send = async (cell: Cell): Promise<Outcome> => {
    cells += 1
    const { operation, recipe, caller } = cell
    const aimed = await aim(cell)
    const order = { caller, target: aimed.target }
    const { body, query = '', headers } = (await recipe.wish?.(kitchen, order)) ?? {}
    const response = await api.call({
      method: methodOf(operation),
      url: operation.path.replace(/\{\w+\}/, aimed.target.id) + query,
      headers: { ...caller.headers, ...headers },
      ...(body !== undefined && { body }),
    })
    return { cell, ...aimed, response }
  }
  return {
    tryOut: async (operation, recipe) => {
      const faults: string[] = []
      for (const caller of await cast.callers(recipe.permission)) {
        const outcomes: Outcome[] = []
        for (const relation of recipe.relations) {
          const cell = { operation, recipe, relation }
          outcomes.push(await send({ ...cell, caller: await renewed(recipe, caller) }))
        }
        faults.push(...outcomes.flatMap(faultsOf), ...leaksOf(outcomes))
      }
      return faults
    },
    tryHidden: async (url, status) => {
      const faults: string[] = []
      for (const { name, headers } of await cast.callers('Public')) {
        cells += 1
        const { statusCode } = await api.call({ url, headers })
        if (statusCode !== status) faults.push(`${name}: ${statusCode} instead of ${status}`)
      }
      return faults
    },
    compareKept: objects.compare,
    cells: () => cells,
  }
}

async function renewed({ renews = false }: Recipe, caller: MatrixCaller): Promise<MatrixCaller> {
  return renews && caller.actor !== null ? await caller.renew() : caller
}

const methods = { get: 'GET', post: 'POST', put: 'PUT', patch: 'PATCH', delete: 'DELETE' } as const

function methodOf({ method }: OperationAt): NonNullable<Call['method']> {
  return methods[z.enum(['get', 'post', 'put', 'patch', 'delete']).parse(method)]
}

/** Kept ones are made once for each owner, and only requests that must not touch them name them. */
function openObjects({ api }: Kitchen, makers: Makers) {
  const known = new Map<string, Made>()
  const before: { readonly made: Made; readonly text: string }[] = []
  const read = async ({ document }: Made): Promise<string> => {
    if (document === undefined) return ''
    const collection = api.core.database.native.collection<{ _id: string }>(document.collection)
    return JSON.stringify(await collection.findOne({ _id: document.id }))
  }
  const make = async (kind: ObjectKind, place: Place): Promise<Made> => {
    const { make: makeOne, absent } = makers[kind]
    return place.relation === 'absent' ? { id: absent } : await makeOne(place)
  }
  return {
    fresh: async (kind: ObjectKind, place: Place): Promise<Target> => ({
      ...place,
      ...(await make(kind, place)),
    }),
    kept: async (kind: ObjectKind, place: Place): Promise<Target> => {
      const key = JSON.stringify([kind, place])
      const made = known.get(key) ?? (await make(kind, place))
      if (!known.has(key)) {
        known.set(key, made)
        if (made.document !== undefined) before.push({ made, text: await read(made) })
      }
      return { ...place, ...made }
    },
    compare: async () => {
      const changed: unknown[] = []
      for (const { made, text } of before) {
        if ((await read(made)) !== text) changed.push(made.document)
      }
      return { kept: before.length, changed }
    },
  }
}

const codes: Readonly<Record<number, RegExp>> = {
  401: /^(auth\.|sso\.refused$)/,
  403: /^(auth\.forbidden|object\.url_invalid)$/,
  404: /[._]not_found$/,
}
const problemShape = z.looseObject({ code: z.string(), status: z.int() })

function faultsOf({ cell, verdict, target, response }: Outcome): readonly string[] {
  const { recipe, caller, relation } = cell
  const isAnswered = verdict === 'Good' || (verdict === 404 && recipe.shows !== undefined)
  const wanted = isAnswered ? recipe.good : verdict
  const where = `${caller.name}, ${relation}`
  if (response.statusCode !== wanted) {
    const text = response.body.slice(0, 300)
    return [`${where}: ${response.statusCode} instead of ${wanted} ${text}`]
  }
  if (!isAnswered) return refusalFaults(response, wanted).map((fault) => `${where}: ${fault}`)
  if (recipe.shows === undefined) return []
  const isShown = response.body.includes(recipe.shows(target))
  if (isShown === (verdict === 'Good')) return []
  return [`${where}: ${isShown ? 'shows' : 'does not show'} ${target.id}`]
}

function refusalFaults(response: LightMyRequestResponse, status: Verdict): readonly string[] {
  const { code } = problemShape.parse(response.json())
  const isNamed = typeof status === 'string' || (codes[status]?.test(code) ?? true)
  const asks = response.headers['www-authenticate']
  return [
    ...(isNamed ? [] : [`${status} is called ${code}`]),
    ...(status === 401 && asks !== 'Bearer' ? ['it does not say how to sign in'] : []),
  ]
}

/** What may not be seen answers as what is not there, to the letter. */
function leaksOf(outcomes: readonly Outcome[]): readonly string[] {
  const hidden = outcomes.filter(({ response }) => response.statusCode === 404)
  const texts = hidden.map(({ response, target }) => {
    const { instance: _instance, ...problem } = problemShape.parse(response.json())
    return JSON.stringify(problem).replaceAll(target.id, '<id>')
  })
  const different = [...new Set(texts)]
  if (different.length < 2) return []
  const [outcome] = hidden
  return [`${outcome?.cell.caller.name} can tell: ${different.join(' from ')}`]
}
