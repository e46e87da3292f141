import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bestNode,
  fitsSomeNode,
  freeOf,
  occupy,
} from '../../../src/shared/domain/admission/nodes.ts'
import {
  type AdmissionInput,
  type Candidate,
  compareCandidates,
  planAdmission,
} from '../../../src/shared/domain/admission/plan.ts'
import type { Resources } from '../../../src/shared/domain/admission/resources.ts'

const small = (max: number) => fc.integer({ min: 0, max })
const owner = fc.record({
  department: fc.constantFrom('assembly', 'vision'),
  user: fc.option(fc.constantFrom('kim', 'lee'), { nil: undefined }),
})
const request: fc.Arbitrary<Resources> = fc.record({
  gpus: small(4),
  cpuMillis: small(400),
  memoryBytes: small(400),
})
const nodes = fc
  .array(fc.record({ usable: fc.boolean(), allocatable: request.map(times(3)) }), { maxLength: 5 })
  .map((all) => all.map((node, index) => ({ ...node, name: `node-${index}` })))

const running = fc
  .array(fc.tuple(owner, request, fc.option(small(5), { nil: undefined })), { maxLength: 6 })
  .map((all) =>
    all.map(([who, asked, node], index) => ({
      ...who,
      uid: `run-${index}`,
      request: asked,
      nodeName: node === undefined ? undefined : `node-${node}`,
    })),
  )

const limit = fc.option(small(3), { nil: undefined })
const candidates = fc
  .array(
    fc.tuple(owner, request, fc.record({ owner: limit, department: limit }), small(2), small(3)),
    { maxLength: 12 },
  )
  .map((all) =>
    all.map(([who, asked, limits, priority, age], index): Candidate => ({
      ...who,
      uid: `job-${index}`,
      request: asked,
      limits,
      priority,
      createdTime: `2026-01-01T00:00:0${age}Z`,
    })),
  )

const inputs: fc.Arbitrary<AdmissionInput> = fc.record({ nodes, running, candidates })

function times(factor: number) {
  return ({ gpus, cpuMillis, memoryBytes }: Resources): Resources => ({
    gpus: gpus * factor,
    cpuMillis: cpuMillis * factor,
    memoryBytes: memoryBytes * factor,
  })
}

function sorted(input: AdmissionInput) {
  return [...planAdmission(input)].toSorted(byUid)
}

function admittedOf(input: AdmissionInput): Candidate[] {
  const plan = planAdmission(input)
  return input.candidates
    .filter(({ uid }) => plan.get(uid)?.kind === 'Admitted')
    .toSorted(compareCandidates)
}

function usableGpus({ nodes: all }: AdmissionInput): number {
  return all.filter(({ usable }) => usable).reduce((sum, node) => sum + node.allocatable.gpus, 0)
}

/** GPUs of running pods that are on a usable Node. */
function usedGpus({ nodes: all, running: pods }: AdmissionInput): number {
  const usable = new Set(all.filter((node) => node.usable).map(({ name }) => name))
  const bound = pods.filter(({ nodeName }) => nodeName !== undefined && usable.has(nodeName))
  return bound.reduce((sum, pod) => sum + pod.request.gpus, 0)
}

describe('admission, whatever the input', () => {
  it('never gives away more GPUs than are free', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const given = admittedOf(input).reduce((sum, { request: asked }) => sum + asked.gpus, 0)
        expect(given).toBeLessThanOrEqual(Math.max(0, usableGpus(input) - usedOnEach(input)))
      }),
    )
  })

  it('fits all it admits onto Nodes at the same time', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const alone = { ...input, running: [] }
        let free = freeOf(input.nodes)
        for (const { request: asked } of admittedOf(alone)) {
          const name = bestNode(asked, free)
          expect(name).toBeDefined()
          free = occupy(free, name ?? '', asked)
        }
      }),
    )
  })

  it('answers the same for the same input in any order', () => {
    const shuffled = inputs.chain((input) =>
      fc.record({
        input: fc.constant(input),
        nodes: fc.shuffledSubarray([...input.nodes], { minLength: input.nodes.length }),
        running: fc.shuffledSubarray([...input.running], { minLength: input.running.length }),
        candidates: fc.shuffledSubarray([...input.candidates], {
          minLength: input.candidates.length,
        }),
      }),
    )
    fc.assert(
      fc.property(shuffled, ({ input, ...other }) => {
        expect(sorted(other)).toEqual(sorted(input))
      }),
    )
  })

  it('never serves a job while an earlier one waits for its turn', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const plan = planAdmission(input)
        const places = input.candidates
          .toSorted(compareCandidates)
          .map(({ uid }) => plan.get(uid))
          .map((place) => (place?.kind === 'Queued' ? place.cause : place?.kind))
        const firstWaiting = places.indexOf('Turn')
        const after = firstWaiting === -1 ? [] : places.slice(firstWaiting)
        expect(after).not.toContain('Admitted')
      }),
    )
  })

  it('leaves no GPU idle that the first in line could use', () => {
    fc.assert(
      fc.property(inputs, (given) => {
        const input = { ...given, running: [] }
        const plan = planAdmission(input)
        const first = input.candidates.toSorted(compareCandidates).find(({ uid }) => {
          const place = plan.get(uid)
          return place?.kind === 'Queued' && place.cause === 'Turn'
        })
        if (first === undefined) return
        let free = freeOf(input.nodes)
        for (const { request: asked } of admittedOf(input)) {
          free = occupy(free, bestNode(asked, free) ?? '', asked)
        }
        expect(bestNode(first.request, free)).toBeUndefined()
      }),
    )
  })

  it('keeps every limit', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        for (const candidate of admittedOf(input)) {
          const before = admittedOf(input).filter(
            (other) => compareCandidates(other, candidate) < 0,
          )
          const all = [...input.running, ...before]
          const department = all.filter((other) => other.department === candidate.department)
          const own = department.filter(({ user }) => user === candidate.user)
          expect(department.length).toBeLessThan(candidate.limits.department ?? Infinity)
          expect(own.length).toBeLessThan(candidate.limits.owner ?? Infinity)
        }
      }),
    )
  })

  it('calls a job too large exactly when no known Node could hold it', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const plan = planAdmission(input)
        for (const { uid, request: asked } of input.candidates) {
          const place = plan.get(uid)
          const isTooLarge = place?.kind === 'Queued' && place.cause === 'TooLarge'
          expect(isTooLarge).toBe(!fitsSomeNode(asked, input.nodes))
        }
      }),
    )
  })
})

/** Overcommitted Nodes cannot lend to others: each counts up to what it has. */
function usedOnEach(input: AdmissionInput): number {
  return Math.min(usableGpus(input), usedGpusCapped(input))
}

function usedGpusCapped(input: AdmissionInput): number {
  return input.nodes.reduce((sum, node) => {
    const alone = { ...input, nodes: [node] }
    return sum + Math.min(usableGpus(alone), usedGpus(alone))
  }, 0)
}

function byUid([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1
}
