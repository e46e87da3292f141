import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { getObject } from '../../../src/platform/kube/objects.ts'
import { leases } from '../../../src/platform/kube/resources.ts'
import { controllerLease, systemNamespace } from '../../../src/shared/names.ts'
import type { Behaviour } from '../../integration/controller/kubelet.ts'
import { completes, runs } from '../../integration/controller/scene.ts'
import type { World } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import type { FaultProxy, SeenRequest } from '../../support/fault-proxy.ts'
import { longTests } from '../../support/long.ts'
import { type ControllerProcess, startControllerProcess } from './controller-process.ts'
import { faultTimeout, type FaultyWorld, inFaultyWorld, untilCondition } from './faulty-world.ts'

/** How soon a successor must lead; a busy machine is only held to it in the long set. */
const successionMs = longTests ? 20_000 : Infinity
const blockedMs = longTests ? 20_000 : 0
const stoppedMs = longTests ? 30_000 : 0

const behaviour = (_: number, name: string): Behaviour => (name === 'runs' ? runs : completes)
const completed = { type: 'Succeeded', is: 'True/Completed' } as const

describe('two controllers', { timeout: faultTimeout }, () => {
  it(
    '15: the event loop of the leader is blocked',
    inFaultyWorld({ gpus: [2], behaviour }, playBlocked),
  )
  it(
    '16: the leader is stopped and continued with writes on their way',
    inFaultyWorld({ gpus: [2], behaviour }, playStopped),
  )
})

type Pair = {
  /** Leads, by way of the proxy. */
  readonly first: ControllerProcess
  /** Stands by, with a way of its own. */
  readonly second: ControllerProcess
  /** Ends the blocking of the first. */
  readonly release: () => Promise<void>
}

async function startPair({ world, proxy, onClose }: FaultyWorld): Promise<Pair> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atelier-blocked-'))
  onClose(async () => await rm(folder, { recursive: true }))
  const release = path.join(folder, 'release')
  const start = async (name: string, kubeconfigPath: string) => {
    const podName = `${name}-${world.namespace}`
    const options = { podName, kubeconfigPath, release }
    const started = await startControllerProcess(world, options)
    onClose(async () => await end(started))
    return started
  }
  const first = await start('first', proxy.kubeconfigPath)
  await first.untilLeading()
  const second = await start('second', (await world.files()).kubeconfigPath)
  await second.untilReady()
  expect(await second.metrics()).toMatch(/^atelier_controller_leading\{.*\} 0$/m)
  return { first, second, release: async () => await writeFile(release, '') }
}

/** In order, so that the Lease is free for whoever comes next. */
async function end({ child, exited }: ControllerProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGCONT')
  child.kill('SIGTERM')
  await exited
}

async function holder(world: World): Promise<string | undefined> {
  const ref = { namespace: systemNamespace, name: controllerLease }
  return (await getObject(world.admin, leases, ref)).spec?.holderIdentity
}

/** Of any kind: Leases and Events too. */
function writesOf({ requests }: FaultProxy): readonly SeenRequest[] {
  return requests.filter(({ method }) => method !== 'GET')
}

async function playBlocked(faulty: FaultyWorld): Promise<void> {
  const { world, proxy } = faulty
  const { first, second, release } = await startPair(faulty)
  await world.createJob({}, 'runs')
  await untilCondition(world, { type: 'PodsReady', is: 'True/Running', name: 'runs' })

  const sinceMs = performance.now()
  first.block()
  await world.patchSpec('runs', { cancel: true })
  await world.createJob({}, 'new')
  await second.untilLeading()
  const tookMs = performance.now() - sinceMs
  expect(tookMs).toBeLessThanOrEqual(successionMs)
  expect(await holder(world)).toMatch(second.podName)
  await untilCondition(world, { type: 'Succeeded', is: 'False/Cancelled', name: 'runs' })
  await untilCondition(world, { ...completed, name: 'new' })
  await sleep(Math.max(0, blockedMs - tookMs))

  // It has not seen any of that, and has all of it to do.
  expect(first.child.exitCode).toBeNull()
  const before = writesOf(proxy).length
  await release()
  expect(await first.exited).toEqual([1, null])
  expect(await first.log).toContain('the lead is lost')
  expect(writesOf(proxy).slice(before)).toEqual([])
}

async function playStopped(faulty: FaultyWorld): Promise<void> {
  const { world, proxy } = faulty
  const { first, second } = await startPair(faulty)
  const released = Promise.withResolvers<void>()
  const fault = { kind: 'Delay', until: async () => await released.promise } as const
  const hold = (method: string, containing: string) =>
    proxy.inject({ verb: 'other', method, containing, fault })
  const held = () => proxy.requests.filter(({ fault: met }) => met !== undefined)
  hold('POST', `/namespaces/${world.namespace}/jobs`)
  await world.createJob({}, 'one')
  await eventually(() => expect(held()).toHaveLength(1))
  hold('PATCH', '/generationjobs/two/status')
  await world.createJob({}, 'two')
  await eventually(() => expect(held()).toHaveLength(2))

  first.child.kill('SIGSTOP')
  await second.untilLeading()
  for (const name of ['one', 'two']) await untilCondition(world, { ...completed, name })
  const after = await Promise.all(['one', 'two'].map(world.getJob))
  await sleep(stoppedMs)
  // What the old leader had sent arrives only now, and is refused: a name that is taken, and a
  // version that is old.
  released.resolve()
  await eventually(() => expect(held().map(({ status }) => status)).toEqual([409, 409]))

  const before = writesOf(proxy).length
  const exit = once(first.child, 'exit')
  first.child.kill('SIGCONT')
  expect(await exit).toEqual([1, null])
  expect(await first.log).toContain('the lead is lost')
  expect(writesOf(proxy).slice(before)).toEqual([])
  expect(await Promise.all(['one', 'two'].map(world.getJob))).toEqual(after)
  expect(after.map(({ status }) => status?.attempt?.number)).toEqual([1, 1])
  expect(await holder(world)).toMatch(second.podName)
}
