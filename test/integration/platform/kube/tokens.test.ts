import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { internalAudience } from '../../../../src/shared/names.ts'
import type { KubeClient } from '../../../../src/platform/kube/client.ts'
import { isInvalid } from '../../../../src/platform/kube/errors.ts'
import { createObject, deleteObject } from '../../../../src/platform/kube/objects.ts'
import { pods, serviceAccounts } from '../../../../src/platform/kube/resources.ts'
import { requestToken, reviewToken } from '../../../../src/platform/kube/tokens.ts'
import { eventually } from '../../../support/eventually.ts'
import { createNamespace, deleteNamespace, openAdminClient } from '../../../support/kube.ts'

const audiences = [internalAudience]
const expirationSeconds = 600
const serviceAccount = 'worker'

let client: KubeClient
let namespace: string

beforeAll(async () => {
  client = openAdminClient()
  namespace = await createNamespace(client, 'tokens')
  await createObject(client, serviceAccounts, { metadata: { name: serviceAccount, namespace } })
})

afterAll(async () => {
  await deleteNamespace(client, namespace)
  await client.close()
})

describe('service-account tokens', () => {
  it('speak for their account and the audience they were made for', async () => {
    const wish = { namespace, serviceAccount, audiences, expirationSeconds }
    const { token, expiresAt } = await requestToken(client, wish)
    expect(Date.parse(expiresAt)).toBeGreaterThan(0)
    expect(await reviewToken(client, token, audiences)).toMatchObject({
      authenticated: true,
      username: `system:serviceaccount:${namespace}:${serviceAccount}`,
      audiences,
      pod: undefined,
    })
  })

  it('are refused for another audience, and when they are no tokens', async () => {
    const wish = { namespace, serviceAccount, audiences: ['other.example'], expirationSeconds }
    const { token } = await requestToken(client, wish)
    expect(await reviewToken(client, token, audiences)).toMatchObject({ authenticated: false })
    for (const wrong of [`${token}x`, 'nonsense', '']) {
      const verdict = await reviewToken(client, wrong, audiences)
      expect(verdict).toMatchObject({ authenticated: false })
    }
  })

  it('name the pod they are bound to, and die with it', async () => {
    const pod = await createObject(client, pods, {
      metadata: { name: 'bound', namespace },
      spec: {
        containers: [{ name: 'c', image: 'none' }],
        schedulerName: 'nobody',
        serviceAccountName: serviceAccount,
      },
    })
    const { name, uid } = pod.metadata
    const boundPod = { name, uid }
    const wish = { namespace, serviceAccount, audiences, expirationSeconds, boundPod }
    const { token } = await requestToken(client, wish)
    expect(await reviewToken(client, token, audiences)).toMatchObject({
      authenticated: true,
      pod: boundPod,
    })
    await deleteObject(client, pods, { namespace, name, uid, graceSeconds: 0 })
    await eventually(async () =>
      expect(await reviewToken(client, token, audiences)).toMatchObject({ authenticated: false }),
    )
  })

  it('cannot be made shorter than the API server allows', async () => {
    const wish = { namespace, serviceAccount, audiences, expirationSeconds: 60 }
    const error: unknown = await requestToken(client, wish).catch((caught: unknown) => caught)
    expect(isInvalid(error)).toBe(true)
  })
})
