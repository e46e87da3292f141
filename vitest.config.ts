import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** Files share the modules of their process: loading them anew took a seventh of the time. */
const isolate = false

/** One file at a time. */
const inTurn = {
  isolate,
  sequence: { groupOrder: 2 },
  fileParallelism: false,
  testTimeout: 60_000,
  hookTimeout: 120_000,
}
/** On real parts, which each of these projects starts for itself. */
const onRealParts = { ...inTurn, globalSetup: ['test/support/global-setup.ts'] }
const inferenceTests = 'test/integration/inference/**/*.test.ts'
const apiTests = 'test/integration/api-*/**/*.test.ts'

export default defineConfig({
  test: {
    // At their end the runs on real parts look for secrets in everything that is left.
    teardownTimeout: 60_000,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/{unit,goldens}/**/*.test.ts', 'test/tidy.test.ts'],
          // One per core: the default leaves one core idle, which is half of a small machine.
          maxWorkers: availableParallelism(),
          isolate,
          // Its workers share the cores with the other lanes.
          testTimeout: 30_000,
          hookTimeout: 60_000,
          // Projects with another number of workers run one after another.
          sequence: { groupOrder: 1 },
        },
      },
      // Processes of the inference image, which know neither cluster nor database.
      { test: { ...inTurn, name: 'inference', include: [inferenceTests] } },
      { test: { ...onRealParts, name: 'api', include: [apiTests] } },
      {
        test: {
          ...onRealParts,
          name: 'cluster',
          include: ['test/{integration,e2e}/**/*.test.ts'],
          exclude: [apiTests, inferenceTests],
        },
      },
      { test: { ...onRealParts, name: 'faults', include: ['test/fault/**/*.test.ts'] } },
    ],
  },
})
