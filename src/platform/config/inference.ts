import { z } from 'zod'
import { jobId } from '../../shared/crd/generation-job.ts'
import { podPaths } from '../../shared/domain/pod-contract.ts'
import { baseUrl, filePath, logLevel, wholeNumber } from './fields.ts'
import { type Environment, readConfig } from './read-config.ts'

/** Variables of a job pod; their names are `podEnvironment` of the pod contract. */
const inferenceConfigSchema = z
  .object({
    ATELIER_JOB_ID: jobId,
    ATELIER_ATTEMPT: wholeNumber({ min: 1, max: 1_000_000 }),
    ATELIER_API_URL: baseUrl,
    ATELIER_TOKEN_FILE: filePath.default(podPaths.tokenFile),
    ATELIER_MODEL_FOLDER: filePath,
    ATELIER_GRACE_SECONDS: wholeNumber({ min: 1, max: 86_400 }).prefault('30'),
    ATELIER_TERMINATION_LOG: filePath.default(podPaths.terminationLog),
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
    graceSeconds: environment.ATELIER_GRACE_SECONDS,
    terminationLog: environment.ATELIER_TERMINATION_LOG,
    podIp: environment.POD_IP,
    logLevel: environment.ATELIER_LOG_LEVEL,
  }))
export type InferenceConfig = z.output<typeof inferenceConfigSchema>

export function readInferenceConfig(environment?: Environment): InferenceConfig {
  return readConfig(inferenceConfigSchema, environment)
}
