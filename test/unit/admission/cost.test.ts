import { describe, expect, it } from 'vitest'
import { admit } from '../../../src/shared/domain/admission/admit.ts'
import { whyWaiting } from '../../../src/shared/domain/admission/explain.ts'
import { forecast } from '../../../src/shared/domain/admission/forecast.ts'
import type { AdmissionInput } from '../../../src/shared/domain/admission/input.ts'
import { type Candidate, JobQueue } from '../../../src/shared/domain/admission/queue.ts'
import { longTests } from '../../support/long.ts'
import { aCandidate, aNode, anInput, aPool, aRunning, nowMs } from './builders.ts'

const jobCount = 50_000

/** Jobs of so many owners, each with eight shapes. */
function crowdOf(owners: number): Candidate[] {
  return Array.from({ length: jobCount }, (_, index) => {
    const own = Math.floor(index / owners)
    return aCandidate(`job-${index}`, {
      department: `department-${index % 10}`,
      user: `user-${index % owners}`,
      createdMs: nowMs - jobCount + index,
      gpus: 1 + (own % 4),
      model: own % 2 === 0 ? 'sd' : 'flux',
      pools: ['warm'],
      execution: 'Auto',
    })
  })
}

/** Counts the jobs that somebody reads anything of. */
class CountedQueue {
  readonly queue = new JobQueue()
  #seen = new Set<string>()

  constructor(jobs: readonly Candidate[]) {
    for (const job of jobs) this.queue.put(this.#watched(job))
  }

  /** How many different jobs were read since the last call. */
  takeCount(): number {
    const { size } = this.#seen
    this.#seen = new Set()
    return size
  }

  #watched(job: Candidate): Candidate {
    return new Proxy(job, {
      get: (target, field, receiver) => {
        this.#seen.add(target.uid)
        return Reflect.get(target, field, receiver)
      },
    })
  }
}

function busy(): AdmissionInput {
  return anInput({
    nodes: Array.from({ length: 20 }, (_, index) => aNode(`node-${index}`, 4)),
    running: Array.from({ length: 70 }, (_, index) => {
      return aRunning(`run-${index}`, { nodeName: `node-${index % 20}`, user: `user-${index % 9}` })
    }),
    pools: [aPool('warm', ['sd', 'flux', null])],
  })
}

describe('50,000 waiting jobs of 20 owners', () => {
  const owners = 20
  const counted = new CountedQueue(crowdOf(owners))
  const input = { ...busy(), queue: counted.queue }

  it('cost one plan a look at the first of each shape and at what it starts', () => {
    counted.takeCount()
    const { starts } = admit(input)
    expect(starts.length).toBeGreaterThan(5)
    const looked = counted.takeCount()
    expect(looked).toBeLessThanOrEqual(owners * 8 + starts.length)
    expect(looked).toBeLessThanOrEqual(owners * input.settings.lookAhead)
  })

  it('cost a plan the same when nothing is free', () => {
    counted.takeCount()
    expect(admit({ ...input, nodes: [aNode('one', 4, false)], pools: [] }).starts).toEqual([])
    expect(counted.takeCount()).toBeLessThanOrEqual(owners * 8)
  })

  it('cost the coming and going of one a search', () => {
    counted.takeCount()
    counted.queue.put(aCandidate('new', { ...counted.queue.get('job-40000'), uid: 'new' }))
    counted.queue.remove('new')
    // Two searches in one shape of some hundred jobs.
    expect(counted.takeCount()).toBeLessThanOrEqual(2 * 12)
  })

  it('cost one explanation a search in each shape of its owner', () => {
    counted.takeCount()
    expect(whyWaiting(input, 'job-49999')?.position).toBe(2500)
    expect(counted.takeCount()).toBeLessThanOrEqual(8 * 12)
  })

  it('cost a forecast no more than its plans', () => {
    counted.takeCount()
    const options = { uids: ['job-49999'], runMs: () => 1000, endMs: () => nowMs + 500 }
    const stepsMax = 5
    forecast(input, { ...options, stepsMax, horizonMs: Infinity })
    expect(counted.takeCount()).toBeLessThanOrEqual(owners * 8 + stepsMax * 90 + 8 * 12)
  })
})

describe('50,000 waiting jobs of 200 owners', () => {
  const repeats = longTests ? 100 : 2

  it('prints what they cost', () => {
    const measured: string[] = []
    const time = <T>(name: string, work: () => T): T => {
      const before = process.cpuUsage()
      const result = work()
      const { user, system } = process.cpuUsage(before)
      measured.push(`${name} ${((user + system) / 1000).toFixed(1)} ms`)
      return result
    }
    const jobs = crowdOf(200)
    const queue = new JobQueue()
    time('queue all:', () => jobs.forEach((job) => queue.put(job)))
    const input = { ...busy(), queue }
    time('first plan:', () => admit(input))
    const plans = time('plans:', () => Array.from({ length: repeats }, () => admit(input)))
    const full = { ...input, nodes: [aNode('one', 4, false)], pools: [] }
    time('plans with nothing free:', () => Array.from({ length: repeats }, () => admit(full)))
    time('explanations:', () => jobs.slice(0, repeats).map(({ uid }) => whyWaiting(input, uid)))
    const options = { runMs: () => 1000, endMs: () => nowMs + 500, horizonMs: Infinity }
    const uids = ['job-49999']
    time('forecast steps:', () => forecast(input, { ...options, uids, stepsMax: repeats }))
    time('clone:', () => queue.clone())
    expect(queue.size).toBe(jobCount)
    process.stdout.write(
      `${plans[0]?.starts.length} starts a plan; CPU time of ${repeats} each: ${measured.join(', ')}\n`,
    )
  })
})
