import type { KubeClient, KubeRequest } from '../../../src/platform/kube/client.ts'
import { KubeError } from '../../../src/platform/kube/errors.ts'

export type Loss = {
  /** Part of the path of a write. */
  readonly path: string
  /** Whether the write has its effect all the same. */
  readonly isDone: boolean
  /** 0: nothing comes at all. */
  readonly status: number
}

/** A client that never hears what became of some writes, each loss once. */
export function losingAnswers() {
  const losses: Loss[] = []
  const request = async <T>(client: KubeClient, asked: KubeRequest): Promise<T> => {
    const isWrite = asked.method !== 'GET'
    const at = losses.findIndex(({ path }) => isWrite && asked.path.includes(path))
    const [loss] = at < 0 ? [] : losses.splice(at, 1)
    if (loss === undefined) return await client.request<T>(asked)
    if (loss.isDone) await client.request(asked)
    throw new KubeError({
      status: loss.status,
      reason: 'InternalError',
      message: 'lost on the way',
    })
  }
  return {
    losses,
    wrap: (client: KubeClient): KubeClient => {
      return { ...client, request: async (asked) => await request(client, asked) }
    },
  }
}
