import { join } from 'node:path'
import type { AccountDocument } from '../../../src/api/features/accounts/store.ts'
import { auditOnce } from '../../../src/api/audit-cli/run.ts'
import { isTerminal, type JobRow } from '../../../src/api/features/jobs/row.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { openKubeClient } from '../../../src/platform/kube/client.ts'
import { listObjects } from '../../../src/platform/kube/objects.ts'
import { namespaces } from '../../../src/platform/kube/resources.ts'
import type { KubeObject } from '../../../src/platform/kube/types.ts'
import { type Database, openDatabase } from '../../../src/platform/mongo/database.ts'
import { endings, type Entry, sides } from '../../../src/shared/domain/account-entry.ts'
import { isTerminalStatus } from '../../../src/shared/domain/job-status.ts'
import type { Report } from '../../../src/shared/wire/internal.ts'
import type { TestAtelier } from '../../support/atelier.ts'
import { testEnvironment } from '../../support/environment.ts'
import type { Facts, JobFacts, Scene } from './audit.ts'
import { resultsOf, type SeenJob, Witness } from './witness.ts'

export type AtelierScene = Scene & {
  /** Of a job for which somebody got an answer: from now on it must not be lost. */
  readonly wasAccepted: (jobId: string) => void
  /** Keys of GenerationJobs, once for each time that one was created. */
  readonly created: () => readonly string[]
  readonly database: Database
  readonly close: () => Promise<void>
}

const documentsMax = 10_000

/** Watches the whole product: its database, its objects and the API server; from before the first job. */
export async function watchAtelier(atelier: TestAtelier): Promise<AtelierScene> {
  const { kubeconfigPath } = testEnvironment()
  const client = openKubeClient({ kubeconfigPath, userAgent: 'atelier-witness' })
  const isOurs = await notOfOthers(await listObjects(client, namespaces))
  const witness = await Witness.open({ client, isOurs })
  const database = await openDatabase({ uri: atelier.mongodbUri })
  const accepted = new Set<string>()
  const audited = {
    mongodbUri: atelier.mongodbUri,
    kubeconfigPath,
    objectsFolder: join(atelier.folder, 'objects'),
    installation: undefined,
  }
  return {
    facts: async () => {
      const facts = await factsOf({ database, witness, accepted })
      // A difference of a job that is still on its way is none.
      if (facts.jobs.some(({ fate }) => fate === 'Open')) return facts
      const { differences, failed } = await auditOnce(audited, systemClock)
      const drift = differences.map(({ kind, id, message }) => `${kind} ${id}: ${message}`)
      const blind = failed.map(({ check }) => `the audit could not look at ${check}`)
      return { ...facts, left: [...facts.left, ...drift, ...blind] }
    },
    writes: async () => [witness.changes, await writesOf(atelier)],
    wasAccepted: (jobId) => accepted.add(jobId),
    created: () => {
      const made = witness.changes.filter((line) => line.startsWith('ADDED GenerationJob '))
      return made.map((line) => line.split(' ')[2] ?? '')
    },
    database,
    close: async () => {
      await witness.close()
      await database.close()
      await client.close()
    },
  }
}

/** Namespaces of earlier tests may still be on their way out. */
async function notOfOthers(all: readonly KubeObject[]) {
  const leaving = all.filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
  const names = new Set(leaving.map(({ metadata }) => metadata.name))
  return ({ metadata }: KubeObject) => !names.has(metadata.namespace ?? '')
}

/** The controller counts what it asks for, even where that changes nothing. */
async function writesOf({ metricsUrls }: TestAtelier): Promise<readonly string[]> {
  const answer = await fetch(`${metricsUrls.controller}/metrics`)
  const lines = (await answer.text()).split('\n')
  return lines.flatMap((line) => {
    const [, resource, count] =
      /^atelier_kube_writes_total\{.*resource="(\w+)".*\} (\d+)$/.exec(line) ?? []
    if (resource === undefined || ['events', 'leases'].includes(resource)) return []
    return Array.from({ length: Number(count) }, () => `a write of ${resource} by the controller`)
  })
}

type Parts = {
  readonly database: Database
  readonly witness: Witness
  readonly accepted: ReadonlySet<string>
}

type ReportDocument = { readonly _id: string; readonly report: Report }

async function factsOf({ database, witness, accepted }: Parts): Promise<Facts> {
  const all = { limit: documentsMax }
  const rows = await database.documents<JobRow>('jobs').find({}, all)
  const reports = await database.documents<ReportDocument>('reports').find({}, all)
  const accounts = await database.documents<AccountDocument>('accounts').find({}, all)
  const stored = await database.documents<Entry>('entries').find({}, all)
  const waiting = accounts.flatMap(({ outbox }) => outbox)
  const entries = [...new Map([...waiting, ...stored].map((one) => [one._id, one])).values()]
  const seen = new Map(
    [...witness.jobs.values()].map((job) => [
      job.newest.spec.jobId ?? job.newest.metadata.uid,
      job,
    ]),
  )
  const byId = new Map(rows.map((row) => [row._id, row]))
  const ids = new Set([...accepted, ...byId.keys(), ...seen.keys()])
  return {
    jobs: [...ids].map((id) => jobFacts(id, { row: byId.get(id), seen: seen.get(id), entries })),
    ledgerSum: ledgerSum(accounts, entries),
    repeated: [...witness.repeated, ...repeatedReports(reports)],
    left: witness.left(),
  }
}

type Traces = {
  readonly row: JobRow | undefined
  readonly seen: SeenJob | undefined
  readonly entries: readonly Entry[]
}

function jobFacts(id: string, { row, seen, entries }: Traces): JobFacts {
  const own = entries.filter(({ jobId }) => jobId === id)
  const shown = row === undefined || row.outputs.length === 0 ? [] : [resultsOf(row.outputs)]
  return {
    name: id,
    fate: fateOf(row, seen),
    verdicts: [...(seen?.verdicts ?? [])],
    resultSets: new Set([...(seen?.outputs ?? []), ...shown]).size,
    holds: own.filter(({ kind }) => kind === 'Hold').length,
    endings: own.filter(({ kind }) => endings.some((ending) => ending === kind)).length,
  }
}

/** The row is the record: until it has ended the job has not, whatever its custom resource says. */
function fateOf(row: JobRow | undefined, seen: SeenJob | undefined): JobFacts['fate'] {
  if (row !== undefined) return isTerminal(row.state) ? 'Ended' : 'Open'
  if (seen === undefined || seen.isGone) return 'Missing'
  return isTerminalStatus(seen.newest.status) ? 'Ended' : 'Open'
}

/** Every account against its own postings, and what is still held or on its way. */
function ledgerSum(accounts: readonly AccountDocument[], entries: readonly Entry[]): number {
  const balances = new Map<string, number>()
  const add = (side: string, microCredits: number) =>
    balances.set(side, (balances.get(side) ?? 0) + microCredits)
  for (const { debit, credit, microCredits } of entries.flatMap(({ postings }) => postings)) {
    add(debit, -microCredits)
    add(credit, microCredits)
  }
  const of = (side: string) => balances.get(side) ?? 0
  return accounts.reduce((sum, { _id, totals }) => {
    const unbooked = Math.abs(of(sides.available(_id)) - totals.available)
    return sum + unbooked + totals.held + Math.abs(of(sides.held(_id))) + of(sides.incoming(_id))
  }, 0)
}

/** Of all attempts of a job only one can have completed it. */
function repeatedReports(reports: readonly ReportDocument[]): readonly string[] {
  const completed = reports.filter(({ report }) => report.reason === 'Completed')
  const jobs = completed.map(({ _id }) => _id.split(':')[0] ?? '')
  const twice = new Set(jobs.filter((job, index) => jobs.indexOf(job) !== index))
  return [...twice].map((job) => `two attempts of ${job} report that they completed it`)
}
