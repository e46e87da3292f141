import * as fc from 'fast-check'
import type {
  DepartmentView,
  Occupant,
  PoolView,
  RunningJob,
  Turn,
} from '../../../src/shared/domain/admission/input.ts'
import type { Owned } from '../../../src/shared/domain/admission/owner.ts'
import type { Candidate, Execution } from '../../../src/shared/domain/admission/queue.ts'
import type { Resources } from '../../../src/shared/domain/admission/resources.ts'
import { addUse, emptyUse } from '../../../src/shared/domain/admission/use.ts'
import { hourMs, nowMs } from './builders.ts'

const small = (max: number) => fc.integer({ min: 0, max })
const maybe = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: undefined })
const model = fc.constantFrom('flux', 'sd', 'turbo')
const lacks = fc.subarray(['ink', 'sd', 'style'])
const poolNames = ['big', 'spot', 'warm']
const departmentNames = ['assembly', 'vision', 'wafer']

const owner: fc.Arbitrary<Owned> = fc.record({
  department: fc.constantFrom(...departmentNames),
  user: maybe(fc.constantFrom('kim', 'lee', 'park')),
})

const request: fc.Arbitrary<Resources> = fc.record({
  gpus: small(4),
  cpuMillis: small(300),
  memoryBytes: small(300),
})

const nodes = fc
  .array(fc.record({ usable: fc.boolean(), allocatable: request.map(threeTimes) }), {
    maxLength: 4,
  })
  .map((all) => all.map((node, index) => ({ ...node, name: `node-${index}` })))

const pools: fc.Arbitrary<PoolView[]> = fc
  .subarray(poolNames)
  .chain((names) => fc.tuple(...names.map((name) => poolNamed(name))))

function poolNamed(name: string): fc.Arbitrary<PoolView> {
  const older = `${name}-a`
  const slot = fc.record({
    pod: fc.constantFrom(older, `${name}-b`),
    model: fc.option(model, { nil: null }),
  })
  const slots = fc.tuple(fc.array(slot, { maxLength: 4 }), lacks).map(([all, lacked]) => {
    return all.map((one) => (one.pod === older ? { ...one, lacks: lacked } : one))
  })
  return fc.record({
    name: fc.constant(name),
    gpusPerSlot: fc.constantFrom(0, 0.25, 1, 2),
    slots,
    loading: fc.array(model, { maxLength: 2 }),
    growable: fc.boolean(),
    growing: fc.boolean(),
    serving: fc.boolean(),
    surplus: fc.nat(2),
  })
}

const nodeName = small(5).map((index) => `node-${index}`)

const occupants: fc.Arbitrary<Occupant[]> = fc
  .array(
    fc.record({
      nodeName: maybe(nodeName),
      request,
      pool: maybe(fc.constantFrom(...poolNames)),
      going: fc.boolean(),
      lacks,
    }),
    { maxLength: 3 },
  )
  .map((all) => all.map((pod, index) => ({ ...pod, uid: `pod-${index}` })))

const runningPlace: fc.Arbitrary<RunningJob['place']> = fc.oneof(
  fc.record({ kind: fc.constant('Node' as const), nodeName: maybe(nodeName), request }),
  fc.record({
    kind: fc.constant('Slot' as const),
    pool: fc.constantFrom(...poolNames),
    pod: fc.constantFrom('pod-0', 'pod-1', 'some-pod'),
  }),
  fc.constant({ kind: 'Quota' as const }),
)

const running: fc.Arbitrary<RunningJob[]> = fc
  .array(fc.tuple(owner, runningPlace, small(2 * hourMs)), { maxLength: 8 })
  .map((all) =>
    all.map(([who, place, age], index) => ({
      ...who,
      uid: `run-${index}`,
      gpus: place.kind === 'Node' ? place.request.gpus : place.kind === 'Quota' ? 0 : 1,
      model: 'sd',
      startMs: nowMs - age,
      place,
    })),
  )

const asked = fc.record({
  request,
  model,
  pools: fc.subarray(poolNames),
  execution: fc.constantFrom<Execution>('Auto', 'Pooled', 'Dedicated', 'Quota'),
  runningJobsMax: maybe(small(3)),
})

/** What tells jobs apart that ask for the same resources. */
const own = fc.record({
  loras: fc.subarray(['ink', 'style']),
  priority: fc.constantFrom(20, 50),
  createdMs: fc.constantFrom(nowMs - 120_000, nowMs - 31_000, nowMs - 1000),
})

/** Few kinds, so that some jobs of one owner are alike. */
export const candidates: fc.Arbitrary<Candidate[]> = fc
  .array(asked, { minLength: 1, maxLength: 4 })
  .chain((kinds) => {
    const job = fc.tuple(owner, fc.constantFrom(...kinds), own)
    return fc.array(job, { maxLength: 16, size: 'max' })
  })
  .map((all) => {
    return all.map(([who, kind, job], index) => ({ ...who, ...kind, ...job, uid: `job-${index}` }))
  })

const department: fc.Arbitrary<DepartmentView> = fc.record({
  weight: fc.constantFrom(1, 100, 300),
  runningJobs: maybe(small(6)),
  runningJobsPerUser: maybe(small(3)),
})

const departments = fc
  .subarray(departmentNames)
  .chain((names) => fc.tuple(...names.map((name) => fc.tuple(fc.constant(name), department))))
  .map((all) => new Map(all))

const use = fc
  .array(fc.tuple(owner, small(3), small(4 * hourMs), small(hourMs)), { maxLength: 4 })
  .map((all) =>
    all.reduce((sum, [who, gpus, ago, length]) => {
      const endMs = nowMs - ago
      return addUse(sum, { ...who, gpus, startMs: endMs - length, endMs })
    }, emptyUse(hourMs)),
  )

const turn: fc.Arbitrary<Turn> = fc.record({
  firstMs: fc.constantFrom(nowMs - 2_000_000, nowMs - 100_000, nowMs),
  passedMs: maybe(fc.constantFrom(nowMs - 90_000, nowMs - 40_000, nowMs)),
})

const turns = fc
  .array(fc.tuple(small(17), turn), { maxLength: 6 })
  .map((all) => new Map(all.map(([index, one]) => [`job-${index}`, one])))

/** What `anInput` needs, so that a test can put it together in another order. */
export const parts = fc.record({
  nodes,
  occupants,
  pools,
  running,
  jobs: candidates,
  departments,
  use,
  turns,
  settings: fc.record({ lookAhead: fc.constantFrom(2, 32) }),
})

function threeTimes({ gpus, cpuMillis, memoryBytes }: Resources): Resources {
  return { gpus: gpus * 3, cpuMillis: cpuMillis * 3, memoryBytes: memoryBytes * 3 }
}
