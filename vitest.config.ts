import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const realParts = ['test/support/global-setup.ts']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/{unit,goldens}/**/*.test.ts', 'test/tidy.test.ts'],
          // One per core: the default leaves one core idle, which is half of a small machine.
          maxWorkers: availableParallelism(),
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/{integration,fault,e2e}/**/*.test.ts'],
          globalSetup: realParts,
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
