import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createAuditLogStore } from '../../../src/api/features/audit-log/store.ts'
import { createAuditTrail } from '../../../src/api/features/audit-log/trail.ts'
import { createTokens, type Tokens } from '../../../src/api/features/sessions/tokens.ts'
import { type KeyRing, openKeyRing } from '../../../src/api/features/signing-keys/key-ring.ts'
import {
  removeRetired,
  rotateSigningKey,
  rotateWhenDue,
  type RotationParts,
} from '../../../src/api/features/signing-keys/rotate.ts'
import { createSigningKeyStore } from '../../../src/api/features/signing-keys/store.ts'
import { type Database, openDatabase } from '../../../src/platform/mongo/database.ts'
import { createSeal } from '../../../src/platform/seal/seal.ts'
import { newJobId } from '../../../src/shared/domain/job-id.ts'
import { testEnvironment } from '../../support/environment.ts'

const minuteMs = 60_000
const dayMs = 1440 * minuteMs
const startMs = Date.UTC(2026, 10, 21)
const seal = createSeal(randomBytes(32), randomBytes)

let uri: string
let database: Database
let nowMs = startMs
const clock = { nowMs: () => nowMs }
const newId = (): string => newJobId(nowMs, randomBytes)
let parts: RotationParts

beforeAll(async () => {
  const name = `signing-keys-${randomBytes(4).toString('hex')}`
  uri = `${testEnvironment().mongodbUri}/${name}`
  database = await openDatabase({ uri })
  const trail = createAuditTrail({ store: createAuditLogStore(database), clock, newId })
  parts = { store: createSigningKeyStore(database), seal, trail, clock }
})
beforeEach(async () => {
  nowMs = startMs
  await database.native.collection('signingKeys').deleteMany({})
  await database.native.collection('auditLog').deleteMany({})
})
afterAll(async () => {
  await database.native.dropDatabase()
  await database.close()
})

const rows = async () => await parts.store.list()
const actions = async () => {
  const log = await createAuditLogStore(database).page({ limit: 100 })
  return log.map(({ action }) => action)
}

type Replica = { readonly keys: KeyRing; readonly tokens: Tokens }

async function openReplica(): Promise<Replica> {
  const keys = await openKeyRing(parts)
  return { keys, tokens: createTokens({ keys, issuer: 'https://a.example', clock, newId }) }
}

const signWith = async ({ tokens }: Replica): Promise<string> =>
  await tokens.sign({ userId: 'u-1', sessionId: newId(), expiresMs: nowMs + 60 * minuteMs })

/** Each replica's new token is accepted by both. */
async function expectAgreement(replicas: readonly Replica[]): Promise<void> {
  for (const signer of replicas) {
    const token = await signWith(signer)
    for (const { tokens } of replicas) {
      expect(await tokens.verify(token)).toMatchObject({ userId: 'u-1' })
    }
  }
}

describe('the first key', () => {
  test('is one, however many replicas start at once', async () => {
    const replicas = await Promise.all(Array.from({ length: 8 }, openReplica))
    expect(await rows()).toHaveLength(1)
    await expectAgreement(replicas.slice(0, 3))
    expect(await actions()).toEqual(['signing_key.rotated'])
  })

  test('is in the database without its private part', async () => {
    await openReplica()
    const [row] = await rows()
    const text = JSON.stringify(row)
    expect(row?.publicJwk).toEqual({ kty: 'OKP', crv: 'Ed25519', x: expect.any(String) })
    expect(text).not.toContain('"d"')
    const opened = seal.open(`signing-key ${row?.keyId}`, row?.sealedPrivateKey ?? '')
    expect(JSON.parse(opened)).toHaveProperty('d')
  })

  test('that another seal closed stops the start with a reason', async () => {
    await openReplica()
    const other = { ...parts, seal: createSeal(randomBytes(32), randomBytes) }
    await expect(openKeyRing(other)).rejects.toMatchObject({ code: 'platform.misconfigured' })
  })
})

describe('a rotation', () => {
  test('makes one key when it is due, however many replicas do it', async () => {
    await openReplica()
    nowMs += 30 * dayMs - 1
    await rotateWhenDue(parts, 30)
    expect(await rows()).toHaveLength(1)
    nowMs += 1
    await Promise.all(Array.from({ length: 8 }, async () => await rotateWhenDue(parts, 30)))
    expect(await rows()).toHaveLength(2)
    expect(await actions()).toHaveLength(2)
  })

  test('is not noticed by anybody: two replicas agree before, during and after', async () => {
    const replicas = [await openReplica(), await openReplica()]
    const before = await signWith(replicas[0]!)
    nowMs += 30 * dayMs
    await rotateWhenDue(parts, 30)
    const rotatedMs = nowMs
    const kids = new Set<string>()
    for (let minute = 0; minute <= 75; minute += 3) {
      nowMs = rotatedMs + minute * minuteMs
      await expectAgreement(replicas)
      kids.add((await replicas[0]!.keys.signer()).keyId)
    }
    expect(kids.size).toBe(2)
    await expect(replicas[1]!.tokens.verify(before)).rejects.toMatchObject({
      code: 'auth.invalid_token',
    })
  })

  test('publishes the new key ten minutes before it signs, and the old one after', async () => {
    const { keys } = await openReplica()
    nowMs += 30 * dayMs
    await rotateWhenDue(parts, 30)
    const [old, next] = (await rows()).map(({ keyId }) => keyId)
    const publishedKids = async () => (await keys.published()).map(({ kid }) => kid)
    nowMs += 2 * minuteMs
    expect([(await keys.signer()).keyId, await publishedKids()]).toEqual([old, [old, next]])
    nowMs += 8 * minuteMs
    expect([(await keys.signer()).keyId, await publishedKids()]).toEqual([next, [old, next]])
    nowMs += dayMs + 5 * minuteMs
    expect([await publishedKids(), await keys.find(old ?? '')]).toEqual([[next], null])
  })

  test('reaches a replica that was asked about the new key a moment before', async () => {
    const replica = await openReplica()
    expect(await replica.keys.find('unknown')).toBeNull()
    const keyId = await rotateSigningKey(parts, { by: 'test', revokeOld: false })
    nowMs += 4999
    expect(await replica.keys.find(keyId)).toBeNull()
    nowMs += 1
    expect(await replica.keys.find(keyId)).not.toBeNull()
  })

  test('by hand at once on several replicas names the key that is there', async () => {
    await openReplica()
    const by = { by: 'test', revokeOld: false } as const
    const named = await Promise.all([1, 2, 3, 4].map(() => rotateSigningKey(parts, by)))
    const stored = (await rows()).map(({ keyId }) => keyId)
    expect(stored).toEqual(expect.arrayContaining(named))
  })

  test('after a theft ends every token of the old keys', async () => {
    const [here, there] = [await openReplica(), await openReplica()]
    const stolen = await signWith(here)
    nowMs += minuteMs
    await rotateSigningKey(parts, { by: 'rotate-keys', revokeOld: true })
    for (const { tokens } of [here, there]) {
      await expect(tokens.verify(stolen)).rejects.toMatchObject({ code: 'auth.invalid_token' })
    }
    await expectAgreement([here, there])
    expect(await actions()).toHaveLength(3)
  })

  test('leaves old keys for a day after they retired, and never takes the newest', async () => {
    const { keys } = await openReplica()
    for (let time = 0; time < 3; time += 1) {
      nowMs += 30 * dayMs
      await rotateWhenDue(parts, 30)
    }
    await removeRetired(parts)
    expect(await rows()).toHaveLength(2)
    nowMs += 3 * dayMs
    await removeRetired(parts)
    await removeRetired(parts)
    const [newest, ...others] = await rows()
    expect([others, (await keys.signer()).keyId]).toEqual([[], newest?.keyId])
  })
})

test('known keys go on while the database is away', async () => {
  const other = await openDatabase({ uri })
  const keys = await openKeyRing({ ...parts, store: createSigningKeyStore(other) })
  const { keyId } = await keys.signer()
  await other.close()
  nowMs += 2 * minuteMs
  expect(await keys.find(keyId)).not.toBeNull()
  expect((await keys.signer()).keyId).toBe(keyId)
})
