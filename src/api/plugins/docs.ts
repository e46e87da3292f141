import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import apiReference from '@scalar/fastify-api-reference'
import { AppError } from '../../shared/errors.ts'

const prefix = '/docs'

/**
 * The reference at /docs, from the script inside the package: no other site is asked for anything,
 * and the Content-Security-Policy makes the browser see to that.
 */
export async function registerDocs(app: FastifyInstance): Promise<void> {
  await app.register(async (docs) => {
    docs.addHook('onRoute', (route) => {
      route.config = { ...route.config, permission: 'Public' }
    })
    docs.addHook('preHandler', async ({ hostname }) => {
      // The package builds a URL from the Host header and would fail on an odd one.
      if (URL.canParse(`http://${hostname}`)) return
      throw new AppError('request.invalid', 'the Host header is not a host name')
    })
    docs.addHook('onSend', async (_request, reply, payload) => {
      if (typeof payload !== 'string') return payload
      const type = String(reply.getHeader('content-type'))
      if (type.startsWith('text/html')) reply.header('content-security-policy', policyOf(payload))
      if (type.startsWith('application/javascript')) {
        reply.header('cache-control', 'public, max-age=3600')
      }
      return payload
    })
    await docs.register(apiReference, {
      routePrefix: prefix,
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
  })
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
