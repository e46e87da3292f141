import { z } from 'zod'
import { labelName } from '../../shared/crd/common.ts'
import {
  baseUrl,
  filePath,
  flag,
  listenAddress,
  listOf,
  logLevel,
  mongodbAddress,
  network,
  originAddress,
} from './fields.ts'
import { type Environment, readConfig } from './read-config.ts'

/** Variables of the api process. */
const apiConfigSchema = z
  .object({
    ATELIER_LISTEN: listenAddress.prefault('127.0.0.1:8080'),
    ATELIER_INTERNAL_LISTEN: listenAddress.prefault('127.0.0.1:8081'),
    ATELIER_METRICS_LISTEN: listenAddress.prefault('127.0.0.1:8082'),
    ATELIER_PUBLIC_URL: baseUrl,
    ATELIER_INTERNAL_URL: baseUrl,
    MONGODB_URI: mongodbAddress,
    REDIS_URL: z.url({
      protocol: /^rediss?$/,
      hostname: /.+/,
      error: 'must be a redis:// address',
    }),
    KUBECONFIG: filePath.optional(),
    ATELIER_OBJECTS_FOLDER: filePath,
    ATELIER_SECRETS_FOLDER: filePath,
    ATELIER_CONTROLLER_TOKEN_FILE: filePath.optional(),
    ATELIER_DEMO_ACCOUNTS_FILE: filePath.optional(),
    ATELIER_TRUSTED_PROXIES: listOf(network),
    ATELIER_CORS_ORIGINS: listOf(originAddress),
    ATELIER_SMTP_URL: z
      .url({
        protocol: /^smtps?$/,
        hostname: /.+/,
        error: 'must be an smtp:// or smtps:// address',
      })
      .optional(),
    ATELIER_MAIL_FROM: z.string().min(3).max(320).default('Atelier <atelier@localhost>'),
    ATELIER_OIDC_ISSUERS_FILE: filePath.optional(),
    ATELIER_FIRST_ADMIN_EMAIL: z.email().max(254).optional(),
    ATELIER_RATE_LIMITS: flag.prefault('true'),
    ATELIER_INSTALLATION: labelName.optional(),
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
    /** Holds `url-key` and `seal-key`. */
    secretsFolder: environment.ATELIER_SECRETS_FOLDER,
    /** Token of audience `controllerAudience`; without it nobody says why jobs wait. */
    controllerTokenFile: environment.ATELIER_CONTROLLER_TOKEN_FILE,
    demoAccountsFile: environment.ATELIER_DEMO_ACCOUNTS_FILE,
    /** Whose `X-Forwarded-For` is believed; without any the socket's address counts. */
    trustedProxies: environment.ATELIER_TRUSTED_PROXIES,
    /** Sites whose scripts may call with a bearer token. Cookies are for our own site only. */
    corsOrigins: environment.ATELIER_CORS_ORIGINS,
    /** Without it mails wait in the database. May hold a password. */
    smtpUrl: environment.ATELIER_SMTP_URL,
    mailFrom: environment.ATELIER_MAIL_FROM,
    oidcIssuersFile: environment.ATELIER_OIDC_ISSUERS_FILE,
    /** Invited as the first super admin while there is none. */
    firstAdminEmail: environment.ATELIER_FIRST_ADMIN_EMAIL,
    /** Off only for tests that send thousands of requests. */
    rateLimits: environment.ATELIER_RATE_LIMITS,
    /** Where several share a cluster: only Departments with this label value are ours. */
    installation: environment.ATELIER_INSTALLATION,
    logLevel: environment.ATELIER_LOG_LEVEL,
  }))
export type ApiConfig = z.output<typeof apiConfigSchema>

export function readApiConfig(environment?: Environment): ApiConfig {
  return readConfig(apiConfigSchema, environment)
}
