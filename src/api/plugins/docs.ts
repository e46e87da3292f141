import { createHash } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'

const paths = ['/docs', '/docs/', '/docs/js/scalar.js'] as const
type DocsPath = (typeof paths)[number]

type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}
type Answers = Readonly<Record<DocsPath, Answer>>
export type RenderDocs = () => Promise<Answers>

/**
 * The reference at /docs, from the script inside the package: no other site is asked for anything,
 * and the Content-Security-Policy makes the browser see to that. The package is 24 MiB in memory,
 * which a process takes only when somebody comes to read.
 */
export function registerDocs(app: FastifyInstance, render: RenderDocs = renderDocs): void {
  const config = { permission: 'Public' } as const
  let answers: Promise<Answers> | null = null
  for (const path of paths) {
    app.get(path, { config, schema: { hide: true } }, async (_request, reply) => {
      answers ??= render().catch((error: unknown) => {
        answers = null
        throw error
      })
      const { status, headers, body } = (await answers)[path]
      return await reply.code(status).headers(headers).send(body)
    })
  }
}

/** What the package answers is the same for everybody, so it is asked once, in an app of its own. */
async function renderDocs(): Promise<Answers> {
  const { default: apiReference } = await import('@scalar/fastify-api-reference')
  const app = Fastify()
  await app.register(apiReference, {
    routePrefix: '/docs',
    configuration: {
      url: '/openapi.json',
      pageTitle: 'Atelier API',
      withDefaultFonts: false,
      telemetry: false,
      hideClientButton: true,
      showDeveloperTools: 'never',
      agent: { disabled: true },
      mcp: { disabled: true },
    },
  })
  const ask = async (path: DocsPath) => {
    const { statusCode, rawPayload } = await app.inject(path)
    return { status: statusCode, body: rawPayload }
  }
  const page = await ask('/docs/')
  return {
    '/docs': { ...(await ask('/docs')), headers: { location: '/docs/' } },
    '/docs/': {
      ...page,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': policyOf(page.body.toString()),
      },
    },
    '/docs/js/scalar.js': {
      ...(await ask('/docs/js/scalar.js')),
      headers: {
        'content-type': 'application/javascript; charset=utf-8',
        'cache-control': 'public, max-age=3600',
      },
    },
  }
}

const inlineScript = /<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g

/** Own scripts, plus the page's inline ones by digest; styles are inline attributes of the page. */
function policyOf(page: string): string {
  const digests = [...page.matchAll(inlineScript)].map(([, script]) => digestOf(script ?? ''))
  return [
    "default-src 'none'",
    `script-src 'self' ${digests.join(' ')}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

function digestOf(script: string): string {
  return `'sha256-${createHash('sha256').update(script).digest('base64')}'`
}
