import { z } from 'zod'
import { wholeNumber } from './fields.ts'
import { type Environment, readConfig } from './read-config.ts'

/** Variables of the programs that start the embedded environment. */
const localConfigSchema = z
  .object({
    ATELIER_KUBECONFIG: z.string().optional(),
    KUBEBUILDER_ASSETS: z.string().optional(),
    MONGODB_URI: z.string().optional(),
    REDIS_URL: z.string().optional(),
    ATELIER_PORT_BASE: wholeNumber({ min: 1024, max: 65_000 }).prefault('8080'),
    ATELIER_TEST_ENVIRONMENT: z.string().optional(),
    ATELIER_TEST_SEED: wholeNumber({ min: 0, max: 2 ** 31 - 1 }).optional(),
    PATH: z.string().default(''),
  })
  .transform((environment) => ({
    /** Kubeconfig of an existing cluster: then no control plane is started. */
    kubeconfigPath: environment.ATELIER_KUBECONFIG,
    /** Folder of etcd and the Kubernetes programs, looked into before PATH. */
    kubebuilderAssets: environment.KUBEBUILDER_ASSETS,
    mongodbUri: environment.MONGODB_URI,
    redisUrl: environment.REDIS_URL,
    /** First of a row of ports; see src/local/ports.ts for their order. */
    portBase: environment.ATELIER_PORT_BASE,
    /** JSON file with the addresses of running parts that tests use instead of their own. */
    testEnvironmentFile: environment.ATELIER_TEST_ENVIRONMENT,
    /** Of everything random in tests; absent: drawn anew. */
    testSeed: environment.ATELIER_TEST_SEED,
    /** Folders to look for programs in, in order. */
    programFolders: environment.PATH.split(':').filter((folder) => folder !== ''),
  }))
export type LocalConfig = z.output<typeof localConfigSchema>

export function readLocalConfig(environment?: Environment): LocalConfig {
  return readConfig(localConfigSchema, environment)
}
