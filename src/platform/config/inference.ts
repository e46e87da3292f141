import { z } from 'zod'
import { jobId, lorasMax } from '../../shared/crd/generation-job.ts'
import { loraFolderVariable, podPaths } from '../../shared/domain/pod-contract.ts'
import { baseUrl, filePath, logLevel, wholeNumber } from './fields.ts'
import { type Environment, readConfig } from './read-config.ts'

/** Which part of onnxruntime computes; `auto` is CUDA where its library and a GPU are, else CPU. */
const providerSettings = ['auto', 'cpu', 'cuda', 'tensorrt', 'webgpu'] as const
export type ProviderSetting = (typeof providerSettings)[number]

export const providerSetting = z
  .enum(providerSettings, { error: `must be one of ${providerSettings.join(', ')}` })
  .default('auto')

/** Variables of a job pod; their names are `podEnvironment` of the pod contract. */
const inferenceConfigSchema = z
  .looseObject({
    ATELIER_JOB_ID: jobId,
    ATELIER_ATTEMPT: wholeNumber({ min: 1, max: 1_000_000 }),
    ATELIER_API_URL: baseUrl,
    ATELIER_TOKEN_FILE: filePath.default(podPaths.tokenFile),
    ATELIER_MODEL_FOLDER: filePath,
    ATELIER_INPUTS_FOLDER: filePath.default(podPaths.inputs),
    ATELIER_GRACE_SECONDS: wholeNumber({ min: 1, max: 86_400 }).prefault('30'),
    ATELIER_FIRST_SEQUENCE: wholeNumber({ min: 1, max: 2 ** 31 }).optional(),
    ATELIER_TERMINATION_LOG: filePath.default(podPaths.terminationLog),
    ATELIER_EXECUTION_PROVIDER: providerSetting,
    POD_IP: z.union([z.ipv4(), z.ipv6()], { error: 'must be an IP address' }),
    ATELIER_LOG_LEVEL: logLevel.default('info'),
  })
  .transform((environment) => ({
    jobId: environment.ATELIER_JOB_ID,
    attempt: environment.ATELIER_ATTEMPT,
    apiUrl: environment.ATELIER_API_URL,
    /** Replaced on disk, so it is read at each use. */
    tokenFile: environment.ATELIER_TOKEN_FILE,
    modelFolder: environment.ATELIER_MODEL_FOLDER,
    inputsFolder: environment.ATELIER_INPUTS_FOLDER,
    /** In the order of `parameters.loras`. */
    loraFolders: loraFoldersOf(environment),
    graceSeconds: environment.ATELIER_GRACE_SECONDS,
    firstSequence: environment.ATELIER_FIRST_SEQUENCE,
    terminationLog: environment.ATELIER_TERMINATION_LOG,
    executionProvider: environment.ATELIER_EXECUTION_PROVIDER,
    podIp: environment.POD_IP,
    logLevel: environment.ATELIER_LOG_LEVEL,
  }))

function loraFoldersOf(environment: Readonly<Record<string, unknown>>): readonly string[] {
  return Array.from({ length: lorasMax }, (_, index) => loraFolderVariable(index)).flatMap(
    (name) => filePath.safeParse(environment[name]).data ?? [],
  )
}

export type InferenceConfig = z.output<typeof inferenceConfigSchema>

export function readInferenceConfig(environment?: Environment): InferenceConfig {
  return readConfig(inferenceConfigSchema, environment)
}
