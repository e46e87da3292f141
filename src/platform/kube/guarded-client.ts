import { AppError } from '../../shared/errors.ts'
import type { KubeClient, KubeRequest } from './client.ts'

/**
 * The same client, which reads always and writes only while `mayWrite` says so; otherwise it
 * throws `platform.unavailable` without asking the API server. Looked at anew before each write,
 * for a process may have been frozen between its decision and its act.
 */
export function guardWrites(client: KubeClient, mayWrite: () => boolean): KubeClient {
  return {
    ...client,
    request: async <T>(request: KubeRequest) => {
      if (request.method !== 'GET' && !mayWrite()) {
        throw new AppError('platform.unavailable', 'this process does not lead: it writes nothing')
      }
      return await client.request<T>(request)
    },
  }
}
