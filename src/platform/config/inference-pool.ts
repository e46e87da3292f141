import { z } from 'zod'
import { labelName } from '../../shared/crd/common.ts'
import {
  loraFolderVariable,
  podPaths,
  poolModelFolderVariable,
} from '../../shared/domain/pod-contract.ts'
import { baseUrl, filePath, listOf, logLevel, podListenAddress, wholeNumber } from './fields.ts'
import { providerSetting } from './inference.ts'
import { type Environment, readConfig } from './read-config.ts'

/** Bounds of ModelPool's spec. */
const modelsMax = 16
const slotsMax = 16

const names = listOf(labelName).refine((list) => list.length <= modelsMax, {
  error: `has at most ${modelsMax} names`,
})

/** Variables of a pool pod; their names are `poolEnvironment` of the pod contract. */
const poolConfigSchema = z
  .looseObject({
    ATELIER_POOL: labelName,
    ATELIER_POOL_LISTEN: podListenAddress,
    ATELIER_POOL_KEY_FILE: filePath.default(podPaths.poolKeyFile),
    ATELIER_POOL_MODELS: names.refine((list) => list.length > 0, { error: 'names no model' }),
    ATELIER_POOL_LORAS: names,
    ATELIER_POOL_SLOTS: wholeNumber({ min: 1, max: slotsMax }).prefault('1'),
    ATELIER_API_URL: baseUrl,
    ATELIER_TOKEN_FILE: filePath.default(podPaths.tokenFile),
    ATELIER_GRACE_SECONDS: wholeNumber({ min: 1, max: 86_400 }).prefault('30'),
    ATELIER_EXECUTION_PROVIDER: providerSetting,
    POD_UID: z.string().min(1).max(64),
    ATELIER_LOG_LEVEL: logLevel.default('info'),
  })
  .transform((environment, context) => ({
    pool: environment.ATELIER_POOL,
    listen: environment.ATELIER_POOL_LISTEN,
    keyFile: environment.ATELIER_POOL_KEY_FILE,
    /** In the order of preloading. */
    models: environment.ATELIER_POOL_MODELS.map((name, index) => {
      const folder = folderOf({ environment, context }, poolModelFolderVariable(index))
      return { name, folder }
    }),
    loraFolders: new Map(
      environment.ATELIER_POOL_LORAS.map((name, index) => {
        return [name, folderOf({ environment, context }, loraFolderVariable(index))] as const
      }),
    ),
    slots: environment.ATELIER_POOL_SLOTS,
    apiUrl: environment.ATELIER_API_URL,
    /** Replaced on disk, so it is read at each use. */
    tokenFile: environment.ATELIER_TOKEN_FILE,
    graceSeconds: environment.ATELIER_GRACE_SECONDS,
    executionProvider: environment.ATELIER_EXECUTION_PROVIDER,
    podUid: environment.POD_UID,
    logLevel: environment.ATELIER_LOG_LEVEL,
  }))

type Reading = {
  readonly environment: Readonly<Record<string, unknown>>
  readonly context: z.RefinementCtx
}

function folderOf({ environment, context }: Reading, variable: string): string {
  const folder = filePath.safeParse(environment[variable])
  if (folder.success) return folder.data
  context.addIssue({ code: 'custom', path: [variable], message: 'must name a folder' })
  return z.NEVER
}

export type PoolConfig = z.output<typeof poolConfigSchema>

export function readPoolConfig(environment?: Environment): PoolConfig {
  return readConfig(poolConfigSchema, environment)
}
