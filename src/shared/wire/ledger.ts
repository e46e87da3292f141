import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { task } from '../crd/generation-job.ts'
import { entryKinds } from '../domain/account-entry.ts'
import { credits, jobState } from './jobs.ts'
import { pageQuery } from './pages.ts'

const whose = {
  department: labelName
    .optional()
    .describe('Without `user` the department’s own account; your own department by default.'),
  user: labelName.optional().describe('Id of a person: their account in the department.'),
}

/** Without anything the caller's own account. */
export const accountQuery = z.strictObject(whose)
export type AccountQuery = z.infer<typeof accountQuery>

export const accountsQuery = pageQuery.extend({
  department: labelName.optional().describe('Your own by default.'),
})
export type AccountsQuery = z.infer<typeof accountsQuery>

const entryKind = z.enum(entryKinds)
const filters = { ...whose, kind: entryKind.optional().describe('Only entries of this kind.') }

export const entriesQuery = pageQuery.extend(filters)
export type EntriesQuery = z.infer<typeof entriesQuery>

export const entriesExportQuery = z.strictObject({
  ...filters,
  before: z.coerce
    .number()
    .int()
    .min(1)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Only entries with a smaller `seq`.'),
})
export type EntriesExportQuery = z.infer<typeof entriesExportQuery>

const expiresTime = z.iso.datetime().nullable()

/** `issued + received = available + held + spent + expired + sent + revoked`. */
const totals = {
  available: credits,
  /** Reserved by open jobs. */
  held: credits,
  spent: credits,
  expired: credits,
  issued: credits,
  received: credits,
  /** To other accounts. */
  sent: credits,
  /** Back to the platform. */
  revoked: credits,
}

const exampleUser = 'u-01kgx0d4s8c2m6p1r5t9v3y7za'

export const accountView = z
  .object({
    department: labelName,
    user: labelName.nullable(),
    ...totals,
    /** Those that lapse first come first; they are spent in this order. */
    lots: z.array(z.object({ id: z.string(), available: credits, held: credits, expiresTime })),
    openHolds: z.int().min(0),
  })
  .meta({
    id: 'Account',
    examples: [
      {
        department: 'vision',
        user: exampleUser,
        available: '18.5',
        held: '1.5',
        spent: '0',
        expired: '0',
        issued: '0',
        received: '20',
        sent: '0',
        revoked: '0',
        lots: [{ id: 'rest:5f0c…', available: '18.5', held: '1.5', expiresTime: null }],
        openHolds: 1,
      },
    ],
  })
export type AccountView = z.infer<typeof accountView>

const accountSummary = z
  .object({
    department: labelName,
    user: labelName.nullable(),
    kind: z.enum(['Department', 'Member', 'FormerMember']),
    /** Of the person; null for the department’s own account and for who was removed. */
    name: z.string().nullable(),
    available: credits,
    held: credits,
    spent: credits,
  })
  .meta({ id: 'AccountSummary' })
export type AccountSummary = z.infer<typeof accountSummary>

export const accountsPage = z
  .object({ items: z.array(accountSummary), next: z.string().nullable() })
  .meta({
    id: 'AccountsPage',
    examples: [
      {
        items: [
          {
            department: 'vision',
            user: exampleUser,
            kind: 'Member',
            name: 'Mina Moon',
            available: '18.5',
            held: '1.5',
            spent: '0',
          },
        ],
        next: null,
      },
    ],
  })

export const personRef = z.object({ id: z.string(), name: z.string().nullable() })
export type PersonRef = z.infer<typeof personRef>

const exampleEntry = {
  id: '01kgy3m9t4q8w2e6r0v5n7b1xc:hold',
  kind: 'Hold',
  time: '2026-03-02T09:15:42.118Z',
  seq: 2,
  credits: '0',
  held: '1.5',
  lots: [{ id: 'rest:5f0c…', credits: '1.5', expiresTime: null }],
  reason: null,
  by: null,
  job: {
    id: '01kgy3m9t4q8w2e6r0v5n7b1xc',
    task: 'TextToImage',
    model: 'demo',
    state: 'Running',
    url: '/v1/jobs/01kgy3m9t4q8w2e6r0v5n7b1xc',
  },
  hash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
} as const

const entryView = z
  .object({
    id: z.string(),
    kind: entryKind,
    time: z.iso.datetime(),
    /** Position in the ledger of the account, from 1. */
    seq: z.int().min(1),
    /** Change of what the account owns, free and held together: what goes out is negative. */
    credits,
    /** Change of what is held. */
    held: credits,
    /** What was moved, by lot. */
    lots: z.array(z.object({ id: z.string(), credits, expiresTime })),
    reason: z.string().nullable(),
    /** Null for what the platform does by itself. */
    by: personRef.nullable(),
    job: z
      .object({ id: z.string(), task, model: z.string(), state: jobState, url: z.string() })
      .nullable(),
    /** SHA-256 of the entry and the hash of the one before it. */
    hash: z.string(),
  })
  .meta({ id: 'Entry', examples: [exampleEntry] })
export type EntryView = z.infer<typeof entryView>

export const entriesPage = z
  .object({ items: z.array(entryView), next: z.string().nullable() })
  .meta({ id: 'EntriesPage', examples: [{ items: [exampleEntry], next: null }] })
