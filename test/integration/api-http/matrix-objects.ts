import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { newApiKeyText } from '../../../src/api/features/api-keys/key-text.ts'
import { createApiKeyStore } from '../../../src/api/features/api-keys/store.ts'
import { openCreditRequestStore } from '../../../src/api/features/credit-requests/store.ts'
import { createInviteStore } from '../../../src/api/features/invites/store.ts'
import { newInviteToken } from '../../../src/api/features/invites/token.ts'
import { newRow } from '../../../src/api/features/jobs/new-row.ts'
import type { JobRow } from '../../../src/api/features/jobs/row.ts'
import { openJobStore } from '../../../src/api/features/jobs/store.ts'
import { newRefreshToken } from '../../../src/api/features/sessions/refresh-tokens.ts'
import { createSessionStore } from '../../../src/api/features/sessions/store.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import {
  createObject,
  deleteObject,
  getObject,
  patchStatus,
} from '../../../src/platform/kube/objects.ts'
import { models } from '../../../src/platform/kube/resources.ts'
import { resolveParameters } from '../../../src/shared/domain/job-parameters.ts'
import { artifactId, artifactKey } from '../../../src/shared/domain/job-artifact.ts'
import { type JobRequest, jobRequest } from '../../../src/shared/wire/job-requests.ts'
import { eventually } from '../../support/eventually.ts'
import type { TestApi } from './harness.ts'
import { type Cast, sessionRow } from './matrix-cast.ts'
import { invitedRole, type Place } from './matrix-rules.ts'

/** What an operation is about: `id` stands in its address, the secret in its body. */
export type Made = {
  readonly id: string
  readonly secret?: string
  /** The document that says whether somebody touched it. */
  readonly document?: { readonly collection: string; readonly id: string }
}
export type Target = Place & Made

/** Makes one object of whoever the place names. */
type Make = (place: Place) => Promise<Made> | Made
type Maker = { readonly make: Make; readonly absent: string }

const ulid = '01jd6z0c5m8k2v3n4p5q6r7s8t'
const digest = 'a'.repeat(64)
const jobSeconds = 60

export type Makers = ReturnType<typeof openMakers>
export type ObjectKind = keyof Makers

export function openMakers(api: TestApi, cast: Cast) {
  const { database, people } = api.core
  const { newId } = people
  const jobs = openJobStore(database, systemClock)
  const createJob = async (place: Place): Promise<Made> => {
    const row = endedJob(api, place)
    await jobs.insert(row)
    return document('jobs', row._id)
  }
  return {
    /** Nothing is stored: the request itself names whom it is about. */
    place: { make: () => ({ id: ulid }), absent: ulid },
    person: {
      make: async ({ relation, user, role, department }) =>
        relation === 'own'
          ? { id: user }
          : document('users', (await cast.createPerson(role, department)).userId),
      absent: `u-${ulid}`,
    },
    guest: {
      make: async ({ department }) =>
        document('users', (await cast.createPerson('guest', department)).userId),
      absent: `u-${ulid}`,
    },
    department: { make: ({ department }) => ({ id: department }), absent: 'nothing-here' },
    creditRequest: {
      make: async ({ user, department }) => {
        const _id = `cr-${randomBytes(16).toString('hex')}`
        const times = { creationTimeMs: Date.now(), updateTimeMs: Date.now() }
        const owner = { department, user }
        const asked = { for: 'Member', owner, microCredits: 1, reason: 'matrix' } as const
        const nothing = { decision: null, auditOutbox: [], notices: [] }
        // What somebody asked who is gone would be ended by the platform meanwhile.
        const state = (await people.users.find(user))?.state === 'Deleted' ? 'Withdrawn' : 'Waiting'
        const store = openCreditRequestStore(database)
        await store.insert({ _id, ...asked, ...times, ...nothing, state })
        return document('creditRequests', _id)
      },
      absent: `cr-${'0'.repeat(32)}`,
    },
    model: { make: ({ department }) => ({ id: modelOf(api, department) }), absent: 'nothing-here' },
    job: { make: createJob, absent: ulid },
    openJob: { make: async (place) => await submitJob(api, place), absent: ulid },
    output: {
      make: async (place) => {
        const made = await createJob(place)
        return { ...made, id: artifactId({ ...outputName, jobId: made.id }) }
      },
      absent: artifactId({ ...outputName, jobId: ulid }),
    },
    upload: {
      make: async ({ department, user }) => {
        const _id = `up-${randomBytes(16).toString('hex')}`
        const owner = { department, user }
        const bytes = { sha256: digest, sizeBytes: 1, contentType: 'image/png', size: null }
        const rest = { key: `uploads/${department}/${user}/${_id}`, creationTimeMs: Date.now() }
        await api.core.pictures.insert({ _id, owner, ...bytes, ...rest })
        return document('pictures', _id)
      },
      absent: `up-${'0'.repeat(32)}`,
    },
    link: { make: async (place) => await storeObject(api, place), absent: 'nothing' },
    session: {
      make: async ({ user: userId }) => {
        const id = newId()
        const { text, hash } = newRefreshToken(id, { ...api.core.people, randomBytes })
        await createSessionStore(database).insert(sessionRow({ id, userId, refreshHash: hash }))
        return { ...document('sessions', id), secret: text }
      },
      absent: ulid,
    },
    apiKey: {
      make: async ({ user: userId }) => {
        const _id = newId()
        const { hash } = newApiKeyText(_id, randomBytes)
        const times = { creationTimeMs: Date.now(), lastUseMs: null, expiresMs: null }
        const row = { _id, userId, name: 'kept', hash, ...times, revokedMs: null }
        const store = createApiKeyStore(database)
        await store.insert({ ...row, scopes: ['models.read'], auditOutbox: [] })
        return document('apiKeys', _id)
      },
      absent: ulid,
    },
    invite: {
      make: async (place) => await createInvite(api, place),
      absent: ulid,
    },
    notification: {
      make: async ({ user: userId }) => {
        const _id = `${newId()}.${userId}`
        const row = { _id, userId, kind: 'RoleChanged', creationTimeMs: Date.now() } as const
        const values = { role: 'department_member' }
        await people.notifications.insert({ ...row, values, readTimeMs: null })
        return document('notifications', _id)
      },
      absent: `${ulid}.u-${ulid}`,
    },
  } as const satisfies Readonly<Record<string, Maker>>
}

function document(collection: string, id: string): Made {
  return { id, document: { collection, id } }
}

/** One for each of the two departments, that the other may not use. */
function modelOf({ surroundings }: Pick<TestApi, 'surroundings'>, department: string): string {
  const { research, secretModel } = surroundings
  return department === research ? secretModel : `${secretModel}-too`
}

/** The one that the surroundings do not have. */
export async function addModel({ admin, core, surroundings }: TestApi): Promise<void> {
  const { quality, secretModel } = surroundings
  const { spec, status = {} } = await getObject(admin, models, { name: secretModel })
  const name = modelOf({ surroundings }, quality)
  const metadata = { name }
  await createObject(admin, models, { metadata, spec: { ...spec, departments: [quality] } })
  await eventually(async () => {
    const object = await getObject(admin, models, metadata)
    await patchStatus(admin, models, { object, status })
    if (core.models.get(name)?.status === undefined) throw new Error('the model is not there yet')
  })
}

export async function removeModel({ admin, surroundings }: TestApi): Promise<void> {
  const name = modelOf({ surroundings }, surroundings.quality)
  await deleteObject(admin, models, { name })
}

function requestOf(api: TestApi): JobRequest {
  return jobRequest.parse(api.jobBody())
}

const outputName = { attempt: 1, name: '0000.png' }

function endedJob(api: TestApi, { user: userId, department, role }: Place): JobRow {
  const jobId = api.core.people.newId()
  const model = api.core.models.get(api.surroundings.model)
  if (model === undefined) throw new Error('the model is not there yet')
  const nowMs = Date.now()
  const limits = { overLimit: 'Queue', runningJobs: 4, queuedJobs: 100, retentionDays: 30 } as const
  const request = requestOf(api)
  const { task, parameters: asked } = request
  const wish = { owner: { department, user: userId }, task, parameters: asked, inputs: [] }
  const resolution = resolveParameters(wish, { model, loras: [] }, () => 0)
  if (resolution.kind === 'Refused') throw new Error('the request is refused')
  const row = newRow({
    jobId,
    caller: { userId, role, department },
    request,
    parameters: resolution.parameters,
    price: { microCredits: 1_500_000, images: 1 },
    namespace: api.surroundings.namespace,
    limits,
    embedRecipe: true,
    nowMs,
  })
  const key = artifactKey({ ...outputName, jobId })
  const output = { name: '0000.png', key, sha256: digest, sizeBytes: 1, contentType: 'image/png' }
  return {
    ...row,
    state: 'Completed',
    reason: 'Completed',
    outputs: [output],
    startTimeMs: nowMs,
    completionTimeMs: nowMs + jobSeconds * 1000,
  }
}

/** One that waits, as only such a job can be cancelled. */
async function submitJob(api: TestApi, { user: userId, department }: Place): Promise<Made> {
  const caller = { userId, department, role: 'department_member' } as const
  const { view } = await api.core.jobs.submit(caller, requestOf(api))
  return { id: view.id, document: { collection: 'jobs', id: view.id } }
}

/** The secret is the query that opens it; a foreign one has the signature of another object. */
async function storeObject(api: TestApi, { user, relation }: Place): Promise<Made> {
  const key = `artifacts/${user}/1/0000.png`
  await api.core.objects.add(Readable.from([Buffer.from('bytes')]), {
    contentType: 'image/png',
    sizeBytesMax: 100,
    keyOf: () => key,
  })
  const { url } = api.core.linkObject(relation === 'own' ? key : `${key}x`)
  return { id: key, secret: new URL(url).search }
}

async function createInvite({ core }: TestApi, place: Place): Promise<Made> {
  const { department, user } = place
  const _id = core.people.newId()
  const { text, hash } = newInviteToken(_id, randomBytes)
  const email = `invited-${randomBytes(6).toString('hex')}@matrix.example`
  const nowMs = Date.now()
  await createInviteStore(core.database).insert({
    _id,
    emailKey: core.people.seal.digest('invite address', email),
    email,
    name: null,
    department,
    role: invitedRole(place),
    language: 'en',
    tokenHash: hash,
    state: 'Open',
    by: user,
    creationTimeMs: nowMs,
    expiresMs: nowMs + 3_600_000,
    auditOutbox: [],
  })
  return { id: _id, secret: text, document: { collection: 'invites', id: _id } }
}
