import type { IncomingMessage } from 'node:http'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { ApiApp } from './api-app.ts'
import { registerBodyTimeouts } from './body-timeouts.ts'
import { answerBrokenConnections } from './broken-connection.ts'
import { registerProblems, sendProblem, toAppError } from './problem.ts'
import { registerSecurityHeaders, setSecurityHeaders } from './security-headers.ts'
import { compileValidator } from './validation.ts'

export type HttpAppOptions = {
  readonly log: FastifyBaseLogger
  readonly publicUrl: string
  readonly newRequestId: () => string
  readonly bodyBytesMax: number
  /** How long a whole request may take to arrive; longer where pods upload. */
  readonly requestTimeoutMs?: number
  /** Whose `X-Forwarded-For` is believed; none when absent. */
  readonly trustedProxies?: readonly string[] | undefined
  /** Which requests may become sockets; all others stay requests, whatever they ask for. */
  readonly isUpgrade?: (request: IncomingMessage) => boolean
}

/** No answer takes longer, unless its route says so. */
const handlerTimeoutMs = 15_000
const defaultRequestTimeoutMs = 30_000
const stopGraceMs = 5000

/** A Fastify app with our limits, problem documents and headers; routes are added by the caller. */
export function createHttpApp(options: HttpAppOptions): ApiApp {
  const { log, publicUrl, newRequestId, bodyBytesMax, trustedProxies = [] } = options
  const { isUpgrade = () => false } = options
  const app: FastifyInstance = Fastify({
    http: { shouldUpgradeCallback: isUpgrade },
    loggerInstance: log,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: 'requestId',
    }),
    genReqId: newRequestId,
    requestIdHeader: false,
    trustProxy: trustedProxies.length > 0 && [...trustedProxies],
    exposeHeadRoutes: false,
    bodyLimit: bodyBytesMax,
    handlerTimeout: handlerTimeoutMs,
    requestTimeout: options.requestTimeoutMs ?? defaultRequestTimeoutMs,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    routerOptions: { maxParamLength: 300 },
    clientErrorHandler: answerBrokenConnections(publicUrl),
    frameworkErrors: (error, request, reply) => {
      setSecurityHeaders(request, reply, publicUrl)
      sendProblem(request, reply, toAppError(error))
    },
  })
  app.setValidatorCompiler(compileValidator)
  app.setSerializerCompiler(serializerCompiler)
  acceptJsonOnly(app)
  registerSecurityHeaders(app, publicUrl)
  registerProblems(app)
  registerBodyTimeouts(app)
  app.addHook('preClose', async () => {
    // Somebody who does not read their answer must not keep the process from stopping.
    setTimeout(() => app.server.closeAllConnections(), stopGraceMs).unref()
  })
  return app.withTypeProvider<ZodTypeProvider>()
}

/** No text/plain; and an empty body is no body, whatever its type is said to be. */
function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    (request, body: string, done) => {
      if (body === '') done(null, undefined)
      else void parse(request, body, done)
    },
  )
}
