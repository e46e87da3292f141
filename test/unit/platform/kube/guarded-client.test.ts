import { describe, expect, it } from 'vitest'
import type { KubeClient, KubeRequest } from '../../../../src/platform/kube/client.ts'
import { guardWrites } from '../../../../src/platform/kube/guarded-client.ts'

/** Writes down what it is asked; an API server would have to be asked what it was not asked. */
function recordingClient() {
  const asked: string[] = []
  const client: KubeClient = {
    server: 'https://none',
    request: async <T>({ method }: KubeRequest) => {
      asked.push(method)
      return await Promise.resolve({} as T)
    },
    stream: () => Promise.reject(new Error('nobody streams here')),
    close: () => Promise.resolve(),
  }
  return { asked, client }
}

const writes = ['POST', 'PUT', 'PATCH', 'DELETE'] as const

describe('a client whose writes are guarded', () => {
  it.each(writes)('does not send a %s when it may not write', async (method) => {
    const { asked, client } = recordingClient()
    const guarded = guardWrites(client, () => false)
    await expect(guarded.request({ method, path: '/' })).rejects.toMatchObject({
      code: 'platform.unavailable',
    })
    expect(asked).toEqual([])
  })

  it('reads always', async () => {
    const { asked, client } = recordingClient()
    await guardWrites(client, () => false).request({ method: 'GET', path: '/' })
    expect(asked).toEqual(['GET'])
  })

  it('asks anew before each write', async () => {
    const { asked, client } = recordingClient()
    let mayWrite = true
    const guarded = guardWrites(client, () => mayWrite)
    for (const method of writes) await guarded.request({ method, path: '/' })
    mayWrite = false
    await expect(guarded.request({ method: 'PATCH', path: '/' })).rejects.toThrow('does not lead')
    expect(asked).toEqual([...writes])
  })
})
