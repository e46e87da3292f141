import { assert } from '../../assert.ts'
import type { Cursors, LineCursor } from './line-cursor.ts'
import { compareStandings, type Standing, type Tally } from './tally.ts'

type Ranked<T> = { readonly standing: Standing; readonly item: T }
type Department = { readonly name: string; readonly lines: Ranked<LineCursor>[] }

/**
 * Whose turn it is: the department with the least share, and inside it the user with the least.
 * Sorted once; afterwards only who has just started something moves. Arrays are sorted the wrong
 * way round, so that the next is the last and leaves cheaply.
 */
class TurnOrder {
  readonly #tally: Tally
  readonly #departments: Ranked<Department>[]

  constructor(tally: Tally, departments: Ranked<Department>[]) {
    this.#tally = tally
    this.#departments = departments
  }

  next(): LineCursor | undefined {
    return this.#departments.at(-1)?.item.lines.at(-1)?.item
  }

  /** The next one started something, so its share has grown. */
  moveBack(): void {
    const department = this.#departments.pop()
    const line = department?.item.lines.pop()
    assert(department !== undefined && line !== undefined, 'somebody had a turn')
    insert(department.item.lines, {
      ...line,
      standing: this.#tally.ownerStanding(line.item.line),
    })
    const standing = this.#tally.departmentStanding(department.item.name)
    insert(this.#departments, { ...department, standing })
  }

  /** The next one can start nothing more. */
  drop(): void {
    const lines = this.#departments.at(-1)?.item.lines
    lines?.pop()
    if (lines?.length === 0) this.#departments.pop()
  }
}

export function openTurnOrder(tally: Tally, cursors: Cursors): TurnOrder {
  const byDepartment = Map.groupBy(cursors.values(), ({ line }) => line.department)
  const departments = [...byDepartment].map(([name, all]) => {
    const lines = all.map((item) => ({ item, standing: tally.ownerStanding(item.line) }))
    const item = { name, lines: lines.toSorted(compareLast) }
    return { item, standing: tally.departmentStanding(name) }
  })
  return new TurnOrder(tally, departments.toSorted(compareLast))
}

function compareLast(left: Ranked<unknown>, right: Ranked<unknown>): number {
  return compareStandings(right.standing, left.standing)
}

function insert<T>(all: Ranked<T>[], ranked: Ranked<T>): void {
  const after = all.findLastIndex((other) => compareLast(other, ranked) < 0)
  all.splice(after + 1, 0, ranked)
}
