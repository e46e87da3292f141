import { startListWatch } from '../../src/platform/kube/list-watch.ts'
import { openKubeClient } from '../../src/platform/kube/client.ts'
import { generationJobs } from '../../src/platform/kube/resources.ts'
import { systemClock } from '../../src/platform/clock/system-clock.ts'
import { pollUntil, type TestAtelier } from '../support/atelier.ts'
import type { TestEnvironment } from '../support/environment.ts'
import type { RestSession } from '../support/rest-session.ts'
import { countWrites, type Writes } from './api-server-writes.ts'
import { describeTimes, medianOf, printRow, printTitle } from './print.ts'

const warmUps = 3
const jobCount = 20
const request = {
  task: 'TextToImage',
  model: 'demo',
  parameters: { prompt: 'a photo of a scratch on metal', seed: 1 },
} as const

type Conditions = { readonly environment: TestEnvironment; readonly pictureAloneMs: number }

/** Jobs one after the other, dedicated path: from the 202 answer to `Succeeded` as watched. */
export async function measureJobs(atelier: TestAtelier, conditions: Conditions): Promise<void> {
  const { environment, pictureAloneMs } = conditions
  const client = openKubeClient({ ...environment, userAgent: 'atelier-bench' })
  const ended = watchEnds(client)
  await ended.watch.synced()
  const member = await atelier.signIn('department_member')
  const runOne = async (): Promise<number> => {
    const { id } = await member.submit(request)
    const acceptedMs = performance.now()
    const endedMs = await ended.of(`gj-${id}`)
    return endedMs - acceptedMs
  }
  for (let index = 0; index < warmUps; index += 1) await runOne()
  const before = await countWrites(client)
  const times: number[] = []
  for (let index = 0; index < jobCount; index += 1) times.push(await runOne())
  await settled(member)
  const after = await countWrites(client)
  await ended.watch.stop()
  await client.close()

  printTitle('One job at a time, dedicated path, warm system')
  printRow('accepted → Succeeded', describeTimes(times))
  printRow('picture alone, whole process (no cluster)', `${pictureAloneMs.toFixed(0)} ms`)
  printRow('through the system ÷ alone', (medianOf(times) / pictureAloneMs).toFixed(2))
  printWrites(before, after)
}

function printWrites(before: Writes, after: Writes): void {
  printTitle(`Writes to the API server per finished job (all clients, n = ${jobCount})`)
  const names = [...after.keys()].toSorted()
  let total = 0
  for (const name of names) {
    const count = ((after.get(name) ?? 0) - (before.get(name) ?? 0)) / jobCount
    if (count === 0) continue
    if (!isBackground(name)) total += count
    printRow(name, count.toFixed(2))
  }
  printRow('sum without Events and Leases', total.toFixed(2))
}

/** Leases tick with time, not with jobs; Events are lost without harm. */
function isBackground(name: string): boolean {
  return /\b(events|leases)\b/.test(name)
}

async function settled(member: RestSession): Promise<void> {
  await pollUntil(
    async () => await member.jobs(),
    (jobs) => jobs.every(({ cost }) => cost.charged !== null),
  )
}

function watchEnds(client: ReturnType<typeof openKubeClient>) {
  const ends = new Map<string, number>()
  const waiting = new Map<string, (ms: number) => void>()
  const watch = startListWatch({
    client,
    kind: generationJobs,
    clock: systemClock,
    random: Math.random,
    onChange: (key) => {
      const job = watch.lister.get(key)
      const end = job?.status?.conditions?.find(({ type }) => type === 'Succeeded')
      if (job === undefined || end === undefined || end.status === 'Unknown') return
      const { name } = job.metadata
      if (!ends.has(name)) ends.set(name, performance.now())
      waiting.get(name)?.(ends.get(name) ?? NaN)
    },
  })
  const of = async (name: string): Promise<number> =>
    ends.get(name) ?? (await new Promise<number>((resolve) => waiting.set(name, resolve)))
  return { watch, of }
}
