import { describe, expect, test } from 'vitest'
import { parseWrites } from '../../perf/api-server-writes.ts'
import { completing, type JobTimes, withSeen } from '../../perf/operator/job-load.ts'
import { baseline, gpuSeconds, planBaseline } from '../../perf/operator/kueue-baseline.ts'
import { sumOfWrites } from '../../perf/operator/operator.ts'
import { secondsOfStat } from '../../perf/operator/processor-time.ts'
import { parseBenchOptions, sectionNames } from '../../perf/operator/options.ts'
import { meanOf, percentile, scaled } from '../../perf/operator/statistics.ts'
import { between, groupOf, sumOf } from '../../perf/operator/write-rates.ts'
import { aJob } from '../controller/builders.ts'

describe('options', () => {
  test('mean every section at full scale unless they say otherwise', () => {
    const options = { help: false, sections: sectionNames, scale: 1, short: false, record: false }
    expect(parseBenchOptions([])).toEqual(options)
    const named = parseBenchOptions(['rest', '--scale', '0.01', 'rest', '--short', 'click'])
    expect(named).toMatchObject({ sections: ['rest', 'click'], scale: 0.01, short: true })
  })

  test.each([
    [['--scale', '0']],
    [['--scale', '1.1']],
    [['--scale', '-1']],
    [['--scale', 'half']],
    [['--large']],
    [['nothing']],
  ])('refuse %j with the usage', (args) => {
    expect(() => parseBenchOptions(args)).toThrow(/npm run bench:operator/)
  })
})

describe('statistics', () => {
  test.each([
    { values: [3, 1, 2, 4], share: 0.5, is: 2 },
    { values: [3, 1, 2, 4], share: 0.51, is: 3 },
    { values: [3, 1, 2, 4], share: 0, is: 1 },
    { values: [3, 1, 2, 4], share: 1, is: 4 },
    { values: [7], share: 0.99, is: 7 },
    { values: [], share: 0.5, is: NaN },
  ])('the $share percentile of $values is $is', ({ values, share, is }) => {
    expect(percentile(values, share)).toBe(is)
  })

  test('a scale leaves at least one of everything', () => {
    expect([scaled(10_000, 1), scaled(50, 0.1), scaled(10, 0.001)]).toEqual([10_000, 5, 1])
    expect(meanOf([1, 2, 6])).toBe(3)
  })
})

const metrics = [
  '# HELP apiserver_request_total Counter',
  'apiserver_request_total{code="201",dry_run="",resource="pods",subresource="",verb="POST"} 7',
  'apiserver_request_total{code="200",dry_run="",resource="pods",subresource="status",verb="PATCH"} 9',
  'apiserver_request_total{code="200",dry_run="",resource="pods",subresource="",verb="LIST"} 99',
  'apiserver_request_total{code="409",dry_run="",resource="pods",subresource="status",verb="PATCH"} 2',
  'apiserver_request_total{code="403",dry_run="All",resource="generationjobs",subresource="",verb="POST"} 1',
  'apiserver_request_total{code="200",dry_run="",resource="leases",subresource="",verb="PATCH"} 5',
  'apiserver_request_total{code="201",dry_run="",resource="leases",subresource="",verb="PATCH"} 1',
  'apiserver_request_total{code="201",dry_run="",resource="events",subresource="",verb="POST"} 4',
  'apiserver_request_total{code="201",dry_run="",resource="serviceaccounts",subresource="token",verb="POST"} 8',
  'apiserver_request_total{code="201",dry_run="",resource="tokenreviews",subresource="",verb="POST"} 8',
  'apiserver_request_total{code="201",dry_run="",resource="subjectaccessreviews",subresource="",verb="POST"} 8',
  'apiserver_request_duration{code="201",resource="pods",verb="POST"} 3',
]

describe('writes', () => {
  test('are counted by what was written, and refused ones apart', () => {
    const { done, refused } = parseWrites(metrics)
    expect(Object.fromEntries(done)).toEqual({
      'POST pods': 7,
      'PATCH pods/status': 9,
      'PATCH leases': 6,
      'POST events': 4,
    })
    expect(Object.fromEntries(refused)).toEqual({ 'PATCH pods/status': 2 })
  })

  test('between two readings leave out what did not change', () => {
    const after = new Map([...parseWrites(metrics).done, ['POST jobs', 3]])
    const done = between(parseWrites(metrics).done, after)
    expect([...done]).toEqual([['POST jobs', 3]])
    expect(sumOf(after, 'Job')).toBe(19)
    expect(sumOf(after, 'Lease')).toBe(6)
    expect(sumOf(after, 'Event')).toBe(4)
  })

  test.each([
    ['PATCH leases', 'Lease'],
    ['POST events', 'Event'],
    ['PATCH nodes/status', 'NodeStatus'],
    ['PATCH nodes', 'Job'],
    ['PATCH pods/status', 'Job'],
    ['POST serviceaccounts/token', 'Job'],
  ])('%s belongs to %s', (name, group) => {
    expect(groupOf(name)).toBe(group)
  })

  test('of the controller are summed without its Lease', () => {
    const text = [
      '# TYPE atelier_kube_writes_total counter',
      'atelier_kube_writes_total{verb="patch",resource="generationjobs/status"} 12',
      'atelier_kube_writes_total{verb="create",resource="jobs"} 3',
      'atelier_kube_writes_total{verb="update",resource="leases"} 100',
      'atelier_kube_requests_total{verb="get",resource="leases",status="200"} 7',
    ].join('\n')
    expect(sumOfWrites(text)).toBe(15)
    expect(sumOfWrites('')).toBe(0)
  })
})

test('processor time is read of a line of /proc', () => {
  const line = '71 (a name (b)) S 1 71 71 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 11 0 100 1 2'
  expect(secondsOfStat(line)).toBe(3)
})

describe("Kueue's baseline", () => {
  test('has 15,000 jobs of 30 departments, as they are due', () => {
    const jobs = planBaseline(1)
    expect(jobs).toHaveLength(15_000)
    expect(new Set(jobs.map(({ name }) => name)).size).toBe(15_000)
    expect(new Set(jobs.map(({ department }) => department)).size).toBe(30)
    const due = jobs.map(({ dueMs }) => dueMs)
    expect(due).toEqual(due.toSorted((left, right) => left - right))
    // 1,320 GPU-seconds in each department, as its generator says.
    expect(gpuSeconds(jobs)).toBeCloseTo(30 * 1320)
  })

  test('keeps its classes and departments when it is smaller', () => {
    const jobs = planBaseline(0.001)
    expect(jobs).toHaveLength(30 * baseline.classes.length)
  })
})

type Seen = readonly [type: string, status: 'True' | 'False' | 'Unknown', reason: string]

function seen(times: JobTimes, conditions: readonly Seen[], nowMs: number): JobTimes {
  const list = conditions.map(([type, status, reason]) => ({
    type,
    status,
    reason,
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  }))
  return withSeen(times, aJob({ status: { conditions: list } }), nowMs)
}

describe('what the driver sees of a job', () => {
  const created: JobTimes = { createdMs: 1 }
  test('keeps the first time of each step', () => {
    const admitted = seen(created, [['Admitted', 'True', 'Admitted']], 5)
    expect(admitted).toEqual({ createdMs: 1, admittedMs: 5 })
    const later = seen(
      admitted,
      [
        ['Admitted', 'True', 'Admitted'],
        ['PodsReady', 'True', 'Ready'],
        ['Succeeded', 'Unknown', 'Running'],
      ],
      7,
    )
    expect(later).toEqual({ createdMs: 1, admittedMs: 5, readyMs: 7 })
    const ended = seen(later, [['Succeeded', 'True', 'Completed']], 9)
    expect(ended).toEqual({ ...later, endedMs: 9, reason: 'Completed', message: '' })
    expect(completing('job-1', ended)).toBe(ended)
    expect(completing('job-1', later)).toBe(later)
    expect(seen(ended, [['Succeeded', 'True', 'Completed']], 11)).toEqual(ended)
  })

  test('takes the end for everything that it did not see before', () => {
    const ended = seen(created, [['Succeeded', 'False', 'InvalidInput']], 3)
    expect(ended).toMatchObject({ admittedMs: 3, readyMs: 3, endedMs: 3, reason: 'InvalidInput' })
    expect(seen(created, [['Admitted', 'False', 'Queued']], 3)).toEqual(created)
  })

  test.each(['InvalidInput', 'BackoffLimitExceeded', 'Cancelled'])('is no %s end', (reason) => {
    const ended = seen(created, [['Succeeded', 'False', reason]], 3)
    const told = { ...ended, message: 'The pod vanished.' }
    const said = `job-1 has ended ${reason}: The pod vanished.`
    expect(() => completing('job-1', told)).toThrow(said)
  })
})
