import { readFile } from 'node:fs/promises'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createApiMetrics, exportLedgerFigures } from '../../../src/api/metrics.ts'
import { createControllerMetrics } from '../../../src/controller/metrics.ts'
import {
  departmentReasons,
  generationJobReasons,
  modelPoolReasons,
  modelReasons,
} from '../../../src/shared/crd/conditions.ts'
import { pendingReasons } from '../../../src/shared/wire/queue-view.ts'

const page = await readFile('docs/operations.md', 'utf8')
/** First cells of the table of reasons, without their ticks. */
const told = new Set(
  [...page.matchAll(/^\| (`[^|]*`) +\| /gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, word]) => word),
  ),
)

test('docs/operations.md explains every reason that a condition or a waiting job can have', () => {
  const tables = [generationJobReasons, modelReasons, departmentReasons, modelPoolReasons]
  const reasons = tables.flatMap((table) => Object.values(table).flatMap(Object.keys))
  const all = new Set([...reasons, ...Object.keys(pendingReasons)])
  expect([...all].filter((reason) => !told.has(reason))).toEqual([])
})

test('docs/operations.md has alerts that can fire', () => {
  // PromQL compares series of equal labels only, and a sum of nothing is nothing.
  expect(page).not.toMatch(/\} [=!<>]=? \(?atelier_\w+\{/)
  expect(page).not.toMatch(/`sum\([^`]*\) [=!<>]=? /)
})

test('docs/operations.md names metrics that exist', async () => {
  const registry = new Registry()
  const controller = createControllerMetrics(registry)
  controller.reconciled('model')
  controller.leadingFrom(() => true)
  controller.readFrom({ queueDepth: () => 0, gpus: () => ({ total: 0, used: 0 }) })
  createApiMetrics(registry)
  exportLedgerFigures(registry, () => null)
  const known = new Set((await registry.getMetricsAsJSON()).map(({ name }) => name))
  const named = [...page.matchAll(/\batelier_\w+/g)].map(([name]) => name)
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter((name) => !known.has(name))).toEqual([])
})
