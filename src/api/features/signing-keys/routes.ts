import { keySetView } from '../../../shared/wire/sessions.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import type { KeyRing } from './key-ring.ts'

/** Shorter than the time for which a new key is published before it signs. */
const cacheSeconds = 300

/** RFC 7517, for whoever wants to verify our access tokens. */
export function registerKeySetRoute(app: ApiApp, keys: KeyRing): void {
  app.get(
    '/.well-known/jwks.json',
    {
      config: { permission: 'Public' },
      schema: {
        tags: ['Sessions'],
        operationId: 'getKeySet',
        summary: 'Read the public keys of access tokens',
        response: { 200: answer('The JSON Web Key Set', keySetView) },
      },
    },
    async (_request, reply) => {
      reply.header('cache-control', `public, max-age=${cacheSeconds}`)
      return { keys: [...(await keys.published())] }
    },
  )
}
