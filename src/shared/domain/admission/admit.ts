import { entitledMs, nextEntitledMs, nextTurns } from './clocks.ts'
import type { KeptRoom } from './node-room.ts'
import type { AdmissionInput, Place, Turns } from './input.ts'
import { type Cursors, type First, firstOf, type LineCursor, openCursors } from './line-cursor.ts'
import { ownerKey } from './owner.ts'
import { type Candidate, compareJobs } from './queue.ts'
import {
  isHopeless,
  isPoolComing,
  openRooms,
  reasonOf,
  type Rooms,
  type WaitReason,
} from './reasons.ts'
import { claimedPools } from './slot-room.ts'
import { openTurnOrder } from './turn-order.ts'

export type Start = { readonly job: Candidate; readonly place: Place }

export type Admission = {
  /** In the order in which they were given their places. */
  readonly starts: readonly Start[]
  /** Why the first waiting job of each owner does not start, by uid. */
  readonly waiting: ReadonlyMap<string, WaitReason>
  /** For the next plan. */
  readonly turns: Turns
  /** Absent while every job that has a Node is bound to it, and no Node is kept for one. */
  readonly kept?: KeptRoom | undefined
  /** When time alone may change something: a job stops waiting for its pool, or is entitled. */
  readonly recheckAtMs?: number | undefined
}

/** Shapes of one owner that are hopeless, capped or looked at: no more are even counted. */
const SHAPES_MAX = 256

/**
 * Gives free places to waiting jobs.
 *
 * Turns: the department with the least (GPUs now + twice the decayed use) / weight, inside it the
 * owner with the least of the same, of that owner the first job that can start. Nothing is set
 * aside for anybody, so what one department does not use is lent to the others at once.
 *
 * Three rounds. (1) Jobs that are *entitled* go first, longest entitled first: those that were the
 * first of their owner for `overdueMs`, or that later turns have been passing for `patienceMs`
 * (they need a Node of their own) or `affinityWaitMs` (they may use a slot). The first of them that
 * fits nowhere gets one Node reserved (`NodeRoom.keepFor`), and its place under the caps. (2) By
 * turns, but no slot changes its model: whoever has his model in memory goes before a job that
 * would throw it out. (3) By turns; what is still free after round 2 is wanted by nobody as it is
 * and may change its model.
 *
 * No starvation: let N owners have jobs, none running longer than L. A job that stays the first of
 * its owner, within its caps and able to run on some Node or slot that only jobs, and pods that
 * pools may give up, occupy starts at most `overdueMs` + 2N·L later, and at most `patienceMs` +
 * 2N·L after it was first passed by; a pod that is given up ends with the last job that it has.
 * Where caps hold other jobs back in between, twice the second part: 4N·L.
 * Proof: from then on it is entitled. Entitled before it are only jobs whose clocks ran before, at
 * most two of each owner (`nextTurns`): who overtakes his own job stops its clock. Each of those
 * has a slot, or its reserved Node empty enough, at most L after the one before it started.
 *
 * The cost follows nodes, running jobs and owners (times the look-ahead), never the waiting jobs.
 * The answer depends on what the input contains, never on its order.
 */
export function admit(input: AdmissionInput): Admission {
  return admitFrom(input, openCursors(input.queue))
}

/** The same for a queue of which the cursors have taken some jobs away; they move on. */
export function admitFrom(input: AdmissionInput, cursors: Cursors): Admission {
  const plan = new Plan(input, cursors, openRooms(input))
  plan.serveEntitled()
  plan.serveByTurns({ maySwitch: false })
  plan.serveByTurns({ maySwitch: true })
  return plan.close()
}

type Wish = {
  readonly maySwitch: boolean
  readonly except?: ReadonlySet<string> | undefined
}

class Plan {
  readonly #input: AdmissionInput
  readonly #cursors: Cursors
  readonly #rooms: Rooms
  readonly #starts: Start[] = []
  /** First jobs whose turn came in vain in this round, by owner. */
  readonly #stuck = new Map<string, Candidate>()
  readonly #passed = new Set<string>()
  /** Shapes for which there was no place in this round. */
  readonly #inVain = new Set<string>()
  readonly #hopeless = new Map<string, boolean>()
  #reserved: Candidate | undefined
  /** In round 2 somebody left a slot that was free to those who want it as it is. */
  #slotDeclined = false
  #recheckAtMs = Infinity

  constructor(input: AdmissionInput, cursors: Cursors, rooms: Rooms) {
    this.#input = input
    this.#cursors = cursors
    this.#rooms = rooms
  }

  serveEntitled(): void {
    for (const job of this.#entitled()) {
      // The start of another one may have filled a cap.
      if (this.#rooms.tally.limitOf(job) !== undefined) continue
      const place = this.#placeOf(job, { maySwitch: true })
      if (place === undefined) this.#reserveFor(job)
      else this.#start(job, place)
    }
  }

  serveByTurns({ maySwitch }: Wish): void {
    if (maySwitch && !this.#slotDeclined) return
    this.#stuck.clear()
    this.#inVain.clear()
    const order = openTurnOrder(this.#rooms.tally, this.#cursors)
    for (let cursor = order.next(); cursor !== undefined; cursor = order.next()) {
      if (this.#serve(cursor, { maySwitch })) order.moveBack()
      else order.drop()
    }
  }

  close(): Admission {
    const waiting = new Map<string, WaitReason>()
    for (const cursor of this.#cursors.values()) {
      const [first] = cursor.firsts
      if (first !== undefined) waiting.set(first.job.uid, this.#reasonOf(first.job))
    }
    for (const job of this.#stuck.values()) this.#noteIdlePools(job)
    const turns = this.#nextTurns()
    const entitledAtMs = nextEntitledMs(this.#input, turns, (job) => this.#needsNode(job))
    const atMs = Math.min(this.#recheckAtMs, entitledAtMs)
    const recheckAtMs = atMs === Infinity ? undefined : atMs
    return { starts: this.#starts, waiting, turns, kept: this.#rooms.nodes.kept(), recheckAtMs }
  }

  /** Nobody takes what an idle pool has, and still it is not there for a job that needs it. */
  #noteIdlePools(job: Candidate): void {
    if (!this.#needsNode(job) || !this.#rooms.nodes.isHeldByIdle(job.request)) return
    this.#passed.add(job.uid)
  }

  /** Starts one job of this owner, if there is one that can. */
  #serve(cursor: LineCursor, { maySwitch }: Wish): boolean {
    const before: Candidate[] = []
    for (const first of this.#ready(cursor)) {
      const place = this.#search(first, before, { maySwitch })
      if (place === undefined) {
        before.push(first.job)
        continue
      }
      this.#holdUp(cursor, before[0])
      this.#start(first.job, place)
      return true
    }
    this.#holdUp(cursor, before[0])
    return false
  }

  /** What was in vain for one job of a shape is not tried again: what is free only shrinks. */
  #search({ job, shape }: First, before: readonly Candidate[], wish: Wish): Place | undefined {
    if (this.#inVain.has(shape.key)) return undefined
    const except = wish.maySwitch ? undefined : claimedPools(before, job)
    const place = this.#placeOf(job, { ...wish, except })
    const isTried = except === undefined && !this.#waitsForPool(job)
    if (place === undefined && isTried) this.#inVain.add(shape.key)
    return place
  }

  #holdUp({ line }: LineCursor, first: Candidate | undefined): void {
    if (first !== undefined) this.#stuck.set(line.key, first)
  }

  /** The first job of each shape that its caps let start. */
  *#ready(cursor: LineCursor): Generator<First> {
    const limitOf = this.#rooms.tally.limitsOf(cursor.line)
    for (const first of this.#hopeful(cursor)) if (limitOf(first.job) === undefined) yield first
  }

  /** The first job of each shape that something there is could run, as far as one looks ahead. */
  *#hopeful({ firsts }: LineCursor): Generator<First> {
    let looked = 0
    for (const first of firsts.slice(0, SHAPES_MAX)) {
      if (looked >= this.#input.settings.lookAhead) return
      if (this.#isHopeless(first)) continue
      looked += 1
      yield first
    }
  }

  #isHopeless({ job, shape }: First): boolean {
    const known = this.#hopeless.get(shape.key) ?? isHopeless(job, this.#rooms)
    this.#hopeless.set(shape.key, known)
    return known
  }

  #placeOf(job: Candidate, wish: Wish): Place | undefined {
    if (job.execution === 'Quota') return { kind: 'Quota' }
    const slot = this.#rooms.slots.find(job, wish)
    if (slot !== undefined) return slot
    this.#slotDeclined ||= this.#rooms.slots.hasFree(job)
    const nodeName = this.#wantsNode(job) ? this.#rooms.nodes.find(job.request) : undefined
    return nodeName === undefined ? undefined : { kind: 'Node', nodeName }
  }

  /** A job in `Auto` prefers a slot that is free, even after a switch, or that will come soon. */
  #wantsNode(job: Candidate): boolean {
    if (job.execution !== 'Auto') return job.execution === 'Dedicated'
    // Those that are free hold other models.
    if (this.#rooms.slots.hasFree(job)) return false
    if (!this.#waitsForPool(job)) return true
    const untilMs = job.createdMs + this.#input.settings.poolPatienceMs
    this.#recheckAtMs = Math.min(this.#recheckAtMs, untilMs)
    return false
  }

  #waitsForPool(job: Candidate): boolean {
    const untilMs = job.createdMs + this.#input.settings.poolPatienceMs
    return job.execution === 'Auto' && untilMs > this.#input.nowMs && isPoolComing(job, this.#rooms)
  }

  #start(job: Candidate, place: Place): void {
    this.#take(job, place)
    this.#starts.push({ job, place })
    this.#cursors.get(ownerKey(job))?.take(job)
    for (const other of this.#stuck.values()) {
      if (this.#couldHave(other, place)) this.#passed.add(other.uid)
    }
  }

  #take(job: Candidate, place: Place): void {
    const { nodes, slots, tally } = this.#rooms
    const startMs = this.#input.nowMs
    if (place.kind === 'Quota') return tally.countWaiting(job)
    if (place.kind === 'Node') nodes.promise(place.nodeName, { ...job, startMs })
    else slots.take(place)
    const gpus = place.kind === 'Node' ? job.request.gpus : slots.gpusPerSlot(place.pool)
    tally.count({ ...job, gpus, startMs })
  }

  #couldHave(job: Candidate, place: Place): boolean {
    const { nodes, slots } = this.#rooms
    if (place.kind === 'Quota') return false
    if (place.kind === 'Node')
      return job.execution !== 'Pooled' && nodes.couldHold(place.nodeName, job.request)
    if (this.#needsNode(job)) return nodes.couldHoldWithout(place.pod, job.request)
    return slots.poolsOf(job).some(({ name }) => name === place.pool)
  }

  /** No slot will come for it. */
  #needsNode(job: Candidate): boolean {
    return !this.#rooms.slots.poolsOf(job).some(({ serving }) => serving)
  }

  /** One Node at a time; the job's place under the caps is kept for it as well. */
  #reserveFor(job: Candidate): void {
    if (this.#reserved !== undefined || !this.#wantsNode(job)) return
    const { nodes, slots, tally } = this.#rooms
    if (!nodes.keepFor(job.request, { mayClear: this.#needsNode(job) })) return
    this.#reserved = job
    slots.close(nodes.leaving)
    tally.count({ ...job, gpus: job.request.gpus, startMs: this.#input.nowMs })
  }

  #entitled(): readonly Candidate[] {
    const { nowMs, queue, turns } = this.#input
    const all = [...turns].flatMap(([uid, turn]) => {
      const job = queue.get(uid)
      const cursor = job === undefined ? undefined : this.#cursors.get(ownerKey(job))
      if (job === undefined || cursor === undefined) return []
      if (firstOf(this.#ready(cursor))[0]?.uid !== uid) return []
      const sinceMs = entitledMs(this.#input, job, turn)
      return sinceMs <= nowMs ? [{ job, sinceMs }] : []
    })
    all.sort((left, right) => left.sinceMs - right.sinceMs || compareJobs(left.job, right.job))
    return all.map(({ job }) => job)
  }

  #reasonOf(job: Candidate): WaitReason {
    // Its place under the caps is its own.
    return job.uid === this.#reserved?.uid ? 'WaitingForGpu' : reasonOf(job, this.#rooms)
  }

  #nextTurns(): Turns {
    const placed = this.#starts.map(({ job }) => job)
    const reserved = this.#reserved === undefined ? undefined : ownerKey(this.#reserved)
    const all = [...this.#cursors.values()]
    const first = all.flatMap((cursor) => firstOf(this.#hopeful(cursor)))
    const others = all.filter(({ line }) => line.key !== reserved)
    const ready = others.flatMap((cursor) => firstOf(this.#ready(cursor)))
    if (this.#reserved !== undefined) ready.push(this.#reserved)
    // Passed in round 2, but served in round 3.
    for (const { uid } of placed) this.#passed.delete(uid)
    const passed = this.#passed
    return nextTurns(this.#input, { placed, first, ready, passed })
  }
}
