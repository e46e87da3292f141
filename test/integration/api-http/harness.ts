import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LightMyRequestResponse } from 'fastify'
import { type JWTPayload, SignJWT } from 'jose'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { stringify } from 'yaml'
import { z } from 'zod'
import { type ApiCore, type ApiCoreDeps, openApiCore } from '../../../src/api/composition.ts'
import { openKeyRing } from '../../../src/api/features/signing-keys/key-ring.ts'
import { createSigningKeyStore } from '../../../src/api/features/signing-keys/store.ts'
import { createApiMetrics } from '../../../src/api/metrics.ts'
import { openPublicApi, type PublicApi } from '../../../src/api/public.ts'
import type { PublicApiDeps } from '../../../src/api/public-deps.ts'
import { type CaughtMail, startMailCatcher } from '../../../src/local/components/mail-catcher.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { type KubeClient, openKubeClient } from '../../../src/platform/kube/client.ts'
import { readKubeconfig } from '../../../src/platform/kube/kubeconfig.ts'
import { requestToken } from '../../../src/platform/kube/tokens.ts'
import { createSeal } from '../../../src/platform/seal/seal.ts'
import { openFolderStore } from '../../../src/platform/objects/folder-store.ts'
import { serviceAccounts, systemNamespace } from '../../../src/shared/names.ts'
import { eventually } from '../../support/eventually.ts'
import { testEnvironment } from '../../support/environment.ts'
import { readDatabase } from '../../support/remains.ts'
import { canaryPassword, refuseCanaries } from '../../support/canary.ts'
import { type Person, settle } from './settlers.ts'
import { createSurroundings, type Surroundings } from './surroundings.ts'

export { type Person, roleOf } from './settlers.ts'
export const publicUrl = 'http://api.test'

export type TestApi = {
  readonly api: PublicApi
  readonly core: ApiCore
  readonly admin: KubeClient
  readonly surroundings: Surroundings
  readonly registry: Registry
  /** Every line that was logged. */
  readonly logged: readonly string[]
  /** Signs whatever is asked for with the api's own key. */
  readonly signToken: (
    claims: JWTPayload,
    header?: Readonly<Record<string, unknown>>,
  ) => Promise<string>
  readonly urlKey: Uint8Array
  readonly emailOf: (person: Person) => string
  /** The newest mail to an address, waiting for it; no mail is returned twice. */
  readonly mailTo: (address: string) => Promise<CaughtMail>
  /** All mails that were sent so far. */
  readonly mails: () => readonly CaughtMail[]
  readonly tokenOf: (person: Person) => Promise<string>
  readonly call: (request: Call) => Promise<LightMyRequestResponse>
  /** A body that is accepted. */
  readonly jobBody: (changes?: Readonly<Record<string, unknown>>) => Record<string, unknown>
  readonly submit: (person: Person, changes?: Readonly<Record<string, unknown>>) => Promise<string>
  readonly close: () => Promise<void>
}

export type Call = {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH'
  readonly url: string
  readonly as?: Person
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Rate limits are off unless told otherwise. */
export type TestApiOptions = Pick<
  PublicApiDeps,
  | 'streamLimits'
  | 'heartbeatMs'
  | 'realtimeLimits'
  | 'issuers'
  | 'rateLimits'
  | 'trustedProxies'
  | 'corsOrigins'
  | 'firstAdminEmail'
> &
  Pick<ApiCoreDeps, 'leader'> & {
    readonly publicUrl?: string
    readonly mongodbUri?: string
    readonly redisUrl?: string
  }

/** The whole public port on real parts, with people, credits, a model and departments of its own. */
export async function startApi(options: TestApiOptions = {}): Promise<TestApi> {
  const name = `api-http-${randomBytes(4).toString('hex')}`
  const folder = await mkdtemp(join(tmpdir(), `${name}-`))
  const environment = testEnvironment()
  const admin = openKubeClient({ kubeconfigPath: environment.kubeconfigPath, userAgent: name })
  const surroundings = await createSurroundings(admin, name)
  const kubeconfigPath = await writeApiKubeconfig(admin, folder)
  const kube = openKubeClient({ kubeconfigPath, userAgent: name })
  const logged: string[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) })
  const registry = new Registry()
  const catcher = await startMailCatcher({
    port: 0,
    folder: join(folder, 'mails'),
    clock: systemClock,
    print: () => undefined,
  })
  const shared = {
    redisUrl: environment.redisUrl,
    redisPrefix: `${name}:`,
    installation: name,
    smtpUrl: catcher.url,
    mailFrom: 'Atelier <atelier@api.test>',
    publicUrl,
    urlKey: randomBytes(32),
    seal: createSeal(randomBytes(32), randomBytes),
    clock: systemClock,
    randomBytes,
    log,
    rateLimits: false,
    ...options,
  }
  const core = await openApiCore({
    ...shared,
    kube,
    internalUrl: 'http://internal.test',
    mongodbUri: options.mongodbUri ?? `${environment.mongodbUri}/${name}`,
    objects: await openFolderStore(join(folder, 'objects')),
    random: Math.random,
  })
  const metrics = createApiMetrics(registry)
  const api = await openPublicApi({ ...shared, core, metrics })
  const emailOf = (person: Person): string => `${person}@${name}.example`
  await settle(core, { surroundings, emailOf })
  await core.start(api.leaderTasks)
  await eventually(() => {
    if (core.models.get(surroundings.model) === undefined) throw new Error('no model yet')
  })
  const call = createCaller(api, createTokens(api, emailOf))
  const jobBody = (changes = {}) => ({
    task: 'TextToImage',
    model: surroundings.model,
    parameters: { prompt: 'a scratch on metal', seed: 7 },
    ...changes,
  })
  return {
    api,
    core,
    admin,
    surroundings,
    registry,
    logged,
    signToken: await createSigner(core),
    urlKey: shared.urlKey,
    emailOf,
    mailTo: catcher.mailTo,
    mails: catcher.mails,
    tokenOf: call.tokenOf,
    call: call.send,
    jobBody,
    submit: async (person, changes) => {
      const body = jobBody(changes)
      const response = await call.send({ method: 'POST', url: '/v1/jobs', as: person, body })
      if (response.statusCode !== 202) throw new Error(`not accepted: ${response.body}`)
      return idShape.parse(response.json()).id
    },
    close: async () => {
      // A database that is away has nothing to tell.
      const documents = await readDatabase(core.database.native).catch(() => [])
      await api.app.close()
      await core.database.native.dropDatabase().catch(() => undefined)
      await core.close()
      await catcher.stop()
      await surroundings.remove()
      await kube.close()
      await admin.close()
      await rm(folder, { recursive: true, force: true })
      refuseCanaries([{ place: 'the log', text: logged.join('\n') }, ...documents])
    },
  }
}

const idShape = z.looseObject({ id: z.string() })
const sessionShape = z.object({ accessToken: z.string() }).loose()

async function createSigner({ database, people: parts }: ApiCore): Promise<TestApi['signToken']> {
  const store = createSigningKeyStore(database)
  const { keyId, privateKey } = await (
    await openKeyRing({ ...parts, store, clock: systemClock })
  ).signer()
  return async (claims, header) =>
    await new SignJWT(claims)
      .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: keyId, ...header })
      .sign(privateKey)
}

type TokenOf = (person: Person) => Promise<string>

function createTokens(api: PublicApi, emailOf: (person: Person) => string): TokenOf {
  const known = new Map<Person, Promise<string>>()
  const signIn = async (person: Person): Promise<string> => {
    const payload = { email: emailOf(person), password: canaryPassword }
    const response = await api.app.inject({ method: 'POST', url: '/v1/sessions', payload })
    return sessionShape.parse(response.json()).accessToken
  }
  return async (person) => {
    const token = known.get(person) ?? signIn(person)
    known.set(person, token)
    return await token
  }
}

function createCaller(api: PublicApi, tokenOf: TokenOf) {
  const send = async ({ method = 'GET', url, as, body, headers }: Call) => {
    const authorization = as === undefined ? {} : { authorization: `Bearer ${await tokenOf(as)}` }
    return await api.app.inject({
      method,
      url,
      headers: {
        ...authorization,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: isRaw(body) ? body : JSON.stringify(body) }),
    })
  }
  return { send, tokenOf }
}

/** Text and bytes go as they are, everything else as JSON. */
function isRaw(body: unknown): body is string | Buffer {
  return typeof body === 'string' || Buffer.isBuffer(body)
}

/** The api's own service account: admission treats nobody else, not even an admin, like it. */
export async function writeApiKubeconfig(admin: KubeClient, folder: string): Promise<string> {
  const { server, authority } = readKubeconfig(testEnvironment().kubeconfigPath)
  const { token } = await requestToken(admin, {
    namespace: systemNamespace,
    serviceAccount: serviceAccounts.api,
    audiences: [],
    expirationSeconds: 3600,
  })
  const cluster = { server, 'certificate-authority-data': authority?.toString('base64') }
  const file = join(folder, 'kubeconfig')
  const kubeconfig = {
    'current-context': 'api',
    contexts: [{ name: 'api', context: { cluster: 'api', user: 'api' } }],
    clusters: [{ name: 'api', cluster }],
    users: [{ name: 'api', user: { token } }],
  }
  await writeFile(file, stringify(kubeconfig))
  return file
}
