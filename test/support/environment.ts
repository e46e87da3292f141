import { inject } from 'vitest'

/** Addresses of the real parts that a test run uses; see global-setup.ts. */
export type TestEnvironment = {
  /** Admin kubeconfig of a real API server with CRDs, policies and RBAC installed. */
  readonly kubeconfigPath: string
  /** Without a database name: each test file takes its own. */
  readonly mongodbUri: string
  readonly redisUrl: string
  /** Command line of a kubectl, to be followed by its arguments. */
  readonly kubectl: readonly string[]
}

declare module 'vitest' {
  interface ProvidedContext {
    environment: TestEnvironment
  }
}

export function testEnvironment(): TestEnvironment {
  return inject('environment')
}
