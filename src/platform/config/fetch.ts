import { z } from 'zod'
import { sha256 } from '../../shared/crd/common.ts'
import { jobId } from '../../shared/crd/generation-job.ts'
import { fetchVariables, packLeaseVariable, podPaths } from '../../shared/domain/pod-contract.ts'
import { baseUrl, filePath, flag, logLevel, wholeNumber } from './fields.ts'
import { type Environment, readConfig } from './read-config.ts'

const packsMax = 64

const packSchema = z.object({
  url: baseUrl,
  digest: sha256,
  cache: filePath,
  limitBytes: wholeNumber({ min: 1, max: 2 ** 49 }).optional(),
  credentials: filePath.optional(),
})

/** Variables of the init container that fetches packs; names in the pod contract. */
const fetchConfigSchema = z
  .looseObject({
    ATELIER_FETCH_PACKS: wholeNumber({ min: 1, max: packsMax }),
    ATELIER_FETCH_HOLDER: z
      .string()
      .regex(/^[A-Za-z0-9-]{1,64}$/, { error: 'must be a pod’s uid' }),
    ATELIER_FETCH_S3_REGION: z.string().min(1).max(32).default('us-east-1'),
    ATELIER_FETCH_ALLOW_HTTP: flag.prefault('false'),
    ATELIER_JOB_ID: jobId.optional(),
    ATELIER_ATTEMPT: wholeNumber({ min: 1, max: 1_000_000 }).prefault('1'),
    ATELIER_API_URL: baseUrl.optional(),
    ATELIER_TOKEN_FILE: filePath.default(podPaths.tokenFile),
    ATELIER_TERMINATION_LOG: filePath.default(podPaths.terminationLog),
    ATELIER_LOG_LEVEL: logLevel.default('info'),
  })
  .transform((environment, context) => ({
    packs: packsOf(environment, environment.ATELIER_FETCH_PACKS, context),
    holder: environment.ATELIER_FETCH_HOLDER,
    s3Region: environment.ATELIER_FETCH_S3_REGION,
    allowHttp: environment.ATELIER_FETCH_ALLOW_HTTP,
    /** Absent in the pods of a pool, which fetch for no job. */
    reporting: reportingOf({
      jobId: environment.ATELIER_JOB_ID,
      attempt: environment.ATELIER_ATTEMPT,
      apiUrl: environment.ATELIER_API_URL,
      tokenFile: environment.ATELIER_TOKEN_FILE,
    }),
    terminationLog: environment.ATELIER_TERMINATION_LOG,
    logLevel: environment.ATELIER_LOG_LEVEL,
  }))

function packsOf(
  environment: Readonly<Record<string, unknown>>,
  count: number,
  context: z.RefinementCtx,
): readonly z.output<typeof packSchema>[] {
  return Array.from({ length: count }, (_, index) => fetchVariables(index)).flatMap((names) => {
    const given = Object.entries(names).map(([field, name]) => [field, environment[name]])
    const parsed = packSchema.safeParse(Object.fromEntries(given))
    if (parsed.success) return [parsed.data]
    const known: Readonly<Record<string, string>> = names
    for (const {
      path: [field],
      message,
    } of parsed.error.issues) {
      context.addIssue({ code: 'custom', path: [known[String(field)] ?? ''], message })
    }
    return []
  })
}

type Reporting = { readonly attempt: number; readonly tokenFile: string }
type Given = Reporting & { readonly jobId?: string | undefined; apiUrl?: string | undefined }

function reportingOf({ jobId: id, apiUrl, ...rest }: Given) {
  return id === undefined || apiUrl === undefined ? undefined : { jobId: id, apiUrl, ...rest }
}

/** Files of the leases that a pod writes while it works; none without a cache. */
export function readPackLeases(environment: Environment = process.env): readonly string[] {
  const names = Array.from({ length: packsMax }, (_, index) => packLeaseVariable(index))
  return names.flatMap((name) => filePath.safeParse(environment[name]).data ?? [])
}

export type FetchConfig = z.output<typeof fetchConfigSchema>

export function readFetchConfig(environment?: Environment): FetchConfig {
  return readConfig(fetchConfigSchema, environment)
}
