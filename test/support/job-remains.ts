import { expect } from 'vitest'
import type { GenerationJob } from '../../src/shared/crd/generation-job.ts'
import type { JobView } from '../../src/shared/wire/jobs.ts'
import { entriesPage } from '../../src/shared/wire/ledger.ts'
import { pollUntil, type TestAtelier } from './atelier.ts'
import { eventually } from './eventually.ts'
import type { RestSession } from './rest-session.ts'

const task = 'TextToImage'
const model = 'demo'
const parameters = { prompt: 'a photo of a dent on wood', seed: 3, steps: 4 }

/** Asks for a small picture over REST. */
export async function submitJob(member: RestSession): Promise<string> {
  return (await member.submit({ task, model, parameters })).id
}

/** The same with kubectl; the id of an applied job is the uid of its object. */
export async function applyJob({ kubectl }: TestAtelier, name: string): Promise<string> {
  const job = {
    apiVersion: 'atelier.dev/v1alpha1',
    kind: 'GenerationJob',
    metadata: { name, namespace: 'vision' },
    spec: { owner: { department: 'vision' }, task, modelRef: { name: model }, parameters },
  }
  const applied = ['apply', '-f', '-', '-o', 'jsonpath={.metadata.uid}']
  return (await kubectl(applied, JSON.stringify(job))).stdout
}

/**
 * Everything that is left of a job that has completed, as its department's admin and kubectl see
 * it: without what two jobs can never have in common, two equal ones leave the same.
 */
export async function remainsOf(atelier: TestAtelier, lead: RestSession, id: string) {
  const view = await pollUntil(
    async () => (await lead.jobs()).find((job) => job.id === id),
    (job) => job?.state === 'Completed' && job.cost.charged !== null,
  )
  if (!view?.resource) throw new Error('an ended job of today has a resource')
  const { namespace, name } = view.resource
  const { stdout } = await atelier.kubectl(['get', 'genjob', '-n', namespace, name, '-o', 'json'])
  const { metadata, status }: GenerationJob = JSON.parse(stdout)
  const own = [name, id, metadata.uid, namespace]
  return {
    attempt: status?.attempt,
    remains: {
      // Absent for a run of less than a second.
      status: withoutOwn({ ...status, activeSeconds: null }, own),
      events: withoutOwn(await eventsOf(atelier, metadata.uid), own),
      view: withoutOwn(withoutOwner(view), own),
      entries: withoutOwn(await entriesOf(lead, view), own),
    },
  }
}

/**
 * What `kubectl describe` shows of what happened. Whether a job ran for long enough to be told that
 * it has started depends on how busy the machine is.
 */
async function eventsOf({ kubectl }: TestAtelier, uid: string): Promise<readonly string[]> {
  const line = '{range .items[*]}{.type} {.reason} {.message}{"\\n"}{end}'
  const selector = `--field-selector=involvedObject.uid=${uid},reason!=Started`
  const get = ['get', 'events', '-A', selector, '--sort-by=.firstTimestamp']
  return await eventually(async () => {
    const { stdout } = await kubectl([...get, '-o', `jsonpath=${line}`])
    const lines = stdout.trim().split('\n')
    expect(lines.at(-1)).toContain('Completed')
    return lines
  })
}

/**
 * Who pays differs, and with a person's tier until when pictures are kept. What was last seen of
 * the progress depends on the moment of each message.
 */
function withoutOwner(view: JobView): object {
  return { ...view, owner: null, outputsExpireTime: null, revision: null, progress: null }
}

/** In the account that paid: of the person, or of the department. */
async function entriesOf(lead: RestSession, { id, owner: { department, user } }: JobView) {
  const whose = user === undefined ? '' : `&user=${user}`
  const path = `/v1/credits/entries?department=${department}${whose}&limit=100`
  const { items } = entriesPage.parse(await (await lead.request(path)).json())
  const own = items.filter(({ job }) => job?.id === id)
  return own.map((entry) => {
    const lots = entry.lots.map(({ credits }) => credits)
    return { ...entry, hash: null, seq: null, lots }
  })
}

const time = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\b/g
const signature = /(expires|signature)=[^&"]+/g
/** Of the pod of an attempt, and of a run that took a second more or less. */
const chance = /("(?:podName|podUID|runner|nodeName)"|"\w*[sS]econds"):("[^"]*"|[\d.]+)/g

function withoutOwn(value: unknown, own: readonly string[]): unknown {
  const text = JSON.stringify(value ?? null)
  const names = new RegExp(`\\b(${own.join('|')})\\b`, 'g')
  return JSON.parse(
    text
      .replaceAll(names, 'own')
      .replaceAll(time, 'time')
      .replaceAll(signature, '$1=…')
      .replaceAll(chance, '$1:"…"')
      .replaceAll(/pod [a-z0-9-]+/g, 'pod …'),
  )
}
