import type { KubeClient, KubeRequest } from '../../../src/platform/kube/client.ts'

/** A client that counts writes, and that dies right after the write with this number. */
export type CountingClient = {
  readonly wrap: (client: KubeClient) => KubeClient
  /** Such as `PATCH /apis/…`. */
  readonly writes: readonly string[]
  readonly died: Promise<void>
}

export function dyingAfter(
  fatalWrite: number,
  counts: (path: string) => boolean = () => true,
): CountingClient {
  const writes: string[] = []
  const death = Promise.withResolvers<void>()
  let isDead = false
  const request = async <T>(client: KubeClient, asked: KubeRequest): Promise<T> => {
    if (isDead) throw new Error('the process is dead')
    const answer = await client.request<T>(asked)
    if (asked.method === 'GET' || !counts(asked.path)) return answer
    if (isDead) throw new Error('the process is dead')
    writes.push(`${asked.method} ${asked.path}`)
    if (writes.length !== fatalWrite) return answer
    isDead = true
    death.resolve()
    // The write has happened, but nobody here will ever know.
    throw new Error('the process is dead')
  }
  return {
    wrap: (client) => ({ ...client, request: async (asked) => await request(client, asked) }),
    writes,
    died: death.promise,
  }
}
