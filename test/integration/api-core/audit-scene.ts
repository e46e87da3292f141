import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { relayOutboxes } from '../../../src/api/features/accounts/relay.ts'
import { projectJob } from '../../../src/api/features/jobs/project.ts'
import { type AuditDeps, openAuditor } from '../../../src/api/tasks/audit/auditor.ts'
import { auditDepsOf } from '../../../src/api/tasks/audit/open.ts'
import type { AuditStore } from '../../../src/api/tasks/audit/store.ts'
import { sendCredits, transferEntryId } from '../../../src/shared/domain/account-movement.ts'
import type { InternalScene } from './internal-scene.ts'
import type { Scene } from './scene.ts'

/** What an audit of a scene looks at; departments have a test of their own. */
export function auditDepsFor({ parts }: Pick<Scene, 'parts'>): AuditDeps {
  const departmentStore = { page: async () => [] }
  return {
    ...auditDepsOf({ ...parts, departmentStore }),
    listDepartments: async () => [],
    pause: async () => await pause(30),
  }
}

/** Kinds of differences, each once. */
export async function kindsIn(deps: AuditDeps): Promise<readonly string[]> {
  const { differences } = await openAuditor(deps).full()
  return [...new Set(differences.map(({ kind }) => kind))].toSorted()
}

type Counts = { entries: number; rows: number; heads: number; uploads: number }

/** Counts what is read: entries, rows and uploads that the database answers with, and heads. */
export function counted(deps: AuditDeps): { readonly deps: AuditDeps; readonly counts: Counts } {
  const counts = { entries: 0, rows: 0, heads: 0, uploads: 0 }
  const count = async <T>(name: keyof Counts, read: Promise<readonly T[]>) => {
    const found = await read
    counts[name] += found.length
    return found
  }
  const { auditStore: store, objects } = deps
  const auditStore: AuditStore = {
    ...store,
    entries: async (id, range) => await count('entries', store.entries(id, range)),
    entriesById: async (ids) => await count('entries', store.entriesById(ids)),
    rows: async (page) => await count('rows', store.rows(page)),
    rowsById: async (ids) => await count('rows', store.rowsById(ids)),
    openRows: async (page) => await count('rows', store.openRows(page)),
    uploads: async (page) => await count('uploads', store.uploads(page)),
  }
  const head = async (key: string) => {
    counts.heads += 1
    return await objects.head(key)
  }
  return { deps: { ...deps, auditStore, objects: { ...objects, head } }, counts }
}

export function reset(counts: Counts): void {
  Object.assign(counts, { entries: 0, rows: 0, heads: 0, uploads: 0 })
}

/** Afterwards everything has arrived and every outbox is empty. */
export async function relay({ parts }: Pick<Scene, 'parts'>): Promise<void> {
  const { accountStore: store, accounts } = parts
  await accounts.idle()
  // What the first pass lets arrive waits in outboxes itself.
  for (const _pass of ['send', 'receive']) {
    await relayOutboxes({ store, receive: accounts.receive })
    await accounts.idle()
  }
}

const lastTransitionTime = '2026-11-21T14:00:00Z'

/** A job of kubectl that has ended with one picture. */
export async function finishOne(scene: InternalScene) {
  const { job, id } = await scene.startJob()
  const bytes = randomBytes(64)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const facts = { sha256, sizeBytes: 64, contentType: 'image/png' }
  const key = `artifacts/${id}/1/a.png`
  await scene.parts.objects.put(key, Readable.from(bytes), facts)
  const patched = await scene.setStatus(job, {
    conditions: [
      { type: 'Succeeded', status: 'True', reason: 'Completed', message: '', lastTransitionTime },
    ],
    outputs: [{ ...facts, name: 'a.png', key }],
  })
  await projectJob(scene.parts, patched, scene.clock.nowMs())
  return { id, key, job }
}

/** One of everything that a ledger may have; the last transfer is left on its way. */
export async function liveThroughEverything(scene: InternalScene): Promise<void> {
  const { accounts, store } = scene.parts
  const account = `department:${scene.department}`
  const member = `member:${scene.department}:u-1`
  const note = { by: 'u-admin', reason: 'a test' }
  const settled = await finishOne(scene)
  for (const [ending, hold] of [
    ['void', 'Voided'],
    ['expire', 'Expired'],
  ] as const) {
    const { id } = await scene.startJob()
    await accounts[ending](account, id)
    const ended = { state: 'Failed', hold, chargedMicroCredits: 0 } as const
    await store.change(id, {}, ended)
  }
  const give = { transferId: newId(), kind: 'Distribute', accountId: account, note } as const
  const both = [...to(member, 5), ...to(`member:${scene.department}:u-2`, 7)]
  await accounts.transfer({ ...give, recipients: both })
  const take = { transferId: newId(), kind: 'Revoke', accountId: member, note } as const
  await accounts.transfer({ ...take, recipients: to(account, 2) })
  await accounts.transfer({ ...take, transferId: newId(), recipients: to(null, 1) })
  const entryId = `${settled.id}:settle`
  const back = { accountId: account, entryId, microCredits: 3, expiresMs: null, note }
  await accounts.adjust(back)
  const expiresMs = scene.clock.nowMs() + 1000
  await accounts.issue({ accountId: member, issueId: newId(), microCredits: 9, expiresMs })
  scene.clock.advance(62_000)
  await accounts.lapse(member)
  await accounts.idle()
  await sendWithoutArriving(scene, { from: account, to: member, microCredits: 4 })
}

function to(accountId: string | null, microCredits: number) {
  return [{ accountId, microCredits }]
}

export type Sending = { readonly from: string; readonly to: string; readonly microCredits: number }

/** The first half of a transfer, after which its replica died. Returns the id of its entry. */
export async function sendWithoutArriving({ parts }: Scene, sending: Sending): Promise<string> {
  const before = await parts.accountStore.read(sending.from)
  const recipients = [{ accountId: sending.to, microCredits: sending.microCredits }]
  const wish = { transferId: newId(), kind: 'Distribute', recipients } as const
  const context = { nowMs: parts.clock.nowMs(), hash: parts.hash }
  const sent = sendCredits(before.account, wish, context)
  if (sent.kind !== 'Moved') throw new Error(`not sent: ${sent.kind}`)
  const outbox = [...before.outbox, sent.entry]
  await parts.accountStore.write([{ before, account: sent.account, outbox }])
  return transferEntryId(wish)
}

export function newId(): string {
  return randomBytes(13).toString('hex')
}
