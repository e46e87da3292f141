import { z } from 'zod'
import { baseUrl, filePath, listenAddress, logLevel } from './fields.ts'
import { type Environment, readConfig } from './read-config.ts'

/** Variables of the api process. */
const apiConfigSchema = z
  .object({
    ATELIER_LISTEN: listenAddress.prefault('127.0.0.1:8080'),
    ATELIER_INTERNAL_LISTEN: listenAddress.prefault('127.0.0.1:8081'),
    ATELIER_METRICS_LISTEN: listenAddress.prefault('127.0.0.1:8082'),
    ATELIER_PUBLIC_URL: baseUrl,
    ATELIER_INTERNAL_URL: baseUrl,
    MONGODB_URI: z.string().regex(/^mongodb(\+srv)?:\/\/[^/]+\/[^/?]+/, {
      error: 'must be a mongodb:// address that ends in a database name',
    }),
    REDIS_URL: z.url({
      protocol: /^rediss?$/,
      hostname: /.+/,
      error: 'must be a redis:// address',
    }),
    KUBECONFIG: filePath.optional(),
    ATELIER_OBJECTS_FOLDER: filePath,
    ATELIER_SECRETS_FOLDER: filePath,
    ATELIER_DEMO_ACCOUNTS_FILE: filePath.optional(),
    ATELIER_LOG_LEVEL: logLevel.default('info'),
  })
  .transform((environment) => ({
    /** Public port. */
    listen: environment.ATELIER_LISTEN,
    /** Port for the controller and job pods. */
    internalListen: environment.ATELIER_INTERNAL_LISTEN,
    metricsListen: environment.ATELIER_METRICS_LISTEN,
    publicUrl: environment.ATELIER_PUBLIC_URL,
    /** Base address under which pods reach the internal port. */
    internalUrl: environment.ATELIER_INTERNAL_URL,
    mongodbUri: environment.MONGODB_URI,
    redisUrl: environment.REDIS_URL,
    /** Without it the pod's own service account is used. */
    kubeconfigPath: environment.KUBECONFIG,
    objectsFolder: environment.ATELIER_OBJECTS_FOLDER,
    /** Holds `token-key.json` and `url-key`. */
    secretsFolder: environment.ATELIER_SECRETS_FOLDER,
    demoAccountsFile: environment.ATELIER_DEMO_ACCOUNTS_FILE,
    logLevel: environment.ATELIER_LOG_LEVEL,
  }))
export type ApiConfig = z.output<typeof apiConfigSchema>

export function readApiConfig(environment?: Environment): ApiConfig {
  return readConfig(apiConfigSchema, environment)
}
