import { describe, expect, it } from 'vitest'
import { openIdentityReader } from '../../../src/api/internal/identity.ts'
import { KubeError } from '../../../src/platform/kube/errors.ts'
import type { TokenVerdict } from '../../../src/platform/kube/tokens.ts'

function reader(answers: (token: string) => TokenVerdict) {
  let nowMs = 0
  const asked: string[] = []
  const identities = openIdentityReader({
    clock: { nowMs: () => nowMs },
    review: async (token) => {
      asked.push(token)
      return answers(token)
    },
  })
  const read = async (token: string) => await identities.read(`Bearer ${token}`)
  const advance = (ms: number) => {
    nowMs += ms
  }
  return { asked, identities, read, advance }
}

const pod = { name: 'p', uid: 'pod-uid' }

function account(username: string, over: { pod?: typeof pod } = {}): TokenVerdict {
  return { authenticated: true, username, uid: 'u', audiences: ['internal.atelier.dev'], ...over }
}

function away(): never {
  throw new KubeError({ status: 0, reason: 'Unreachable', message: 'refused' })
}

describe('who calls', () => {
  it.each([
    ['system:serviceaccount:atelier-system:atelier-controller', 'Controller'],
    ['system:serviceaccount:other:atelier-controller', 'Other'],
    ['system:serviceaccount:atelier-system:atelier-controller:x', 'Other'],
    ['system:serviceaccount:team:atelier-job', 'JobPod'],
    ['system:serviceaccount:team:default', 'Other'],
    ['system:admin', 'Other'],
    ['', 'Other'],
  ])('is by the name %j a %s', async (username, kind) => {
    expect((await reader(() => account(username, { pod })).read('t')).kind).toBe(kind)
  })

  it('is no pod without a pod in the token', async () => {
    const { read } = reader(() => account('system:serviceaccount:team:atelier-job'))
    expect(await read('t')).toEqual({ kind: 'Other' })
  })

  it('is asked once a minute per accepted token', async () => {
    const { asked, read, advance } = reader(() => account('system:serviceaccount:a:atelier-job'))
    await read('t')
    advance(59_999)
    await read('t')
    expect(asked).toEqual(['t'])
    await read('other')
    advance(1)
    await read('t')
    expect(asked).toEqual(['t', 'other', 't'])
  })

  it('is asked every time while the token is refused', async () => {
    const { asked, read } = reader(() => ({ authenticated: false, message: 'expired' }))
    for (const _ of [1, 2]) {
      await expect(read('t')).rejects.toMatchObject({ code: 'auth.invalid_token' })
    }
    expect(asked).toHaveLength(2)
  })

  it('is remembered for a bounded number of tokens', async () => {
    const { asked, read } = reader(() => account('system:admin'))
    for (let index = 0; index < 2001; index += 1) await read(`t${index}`)
    await read('t2000')
    expect(asked).toHaveLength(2001)
    await read('t0')
    expect(asked).toHaveLength(2002)
  })

  it('cannot be known while the API server is away', async () => {
    await expect(reader(away).read('t')).rejects.toMatchObject({ code: 'platform.unavailable' })
  })

  it.each([undefined, '', 'Basic x', 'Bearer', 'Bearer a b', `Bearer ${'x'.repeat(8193)}`])(
    'is nobody with the header %j',
    async (header) => {
      const { identities, asked } = reader(() => account('system:admin'))
      const code = header === undefined ? 'auth.required' : 'auth.invalid_token'
      await expect(identities.read(header)).rejects.toMatchObject({ code })
      expect(asked).toEqual([])
    },
  )
})
