import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { readManifest } from '../../../src/inference/models/manifest.ts'
import { Runner } from '../../../src/inference/runner/parent.ts'
import type { GenerateRequest } from '../../../src/inference/runner/protocol.ts'
import { longTests } from '../../support/long.ts'

const folder = path.resolve(import.meta.dirname, '../../../models/demo')
const jobs = longTests ? 200 : 80
/** Between two collections the heap swells; what a leak raises is the lowest of so many readings. */
const readings = longTests ? 40 : 20
const growthMax = 0.05
/** Code is compiled and the heap has grown by then. */
const warmUpJobs = longTests ? 80 : 60
/** The heap may still settle in one round of jobs; a leak grows in every one. */
const roundsMax = 3

let runner: Runner | undefined
afterEach(() => runner?.close())

/** Resident bytes of the runner's process, as the kernel counts them. */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

function requestOf(job: number): GenerateRequest {
  return {
    task: 'TextToImage',
    // Every prompt is a new one, so that the cache of embeddings is full and replaces.
    prompt: `a photo of a dent on metal, sample ${job}`,
    width: 64,
    height: 64,
    steps: 2,
    guidanceScale: 3,
    seed: job,
    scheduler: 'Euler a',
    images: 1,
    promptSyntax: 'Plain',
    promptOverflow: 'Chunk',
    inputs: [],
    loras: [],
    model: { name: 'demo' },
  }
}

test(`a runner takes no more memory after ${jobs} jobs`, { timeout: 600_000 }, async () => {
  const open = new Runner()
  runner = open
  const { manifest } = await readManifest(folder)
  await open.load({ folder, files: manifest.files, threads: 1, provider: 'cpu' })
  const pid = open.pid ?? 0
  let done = 0
  let images = 0
  const run = async (count: number) => {
    const resident: number[] = []
    for (const end = done + count; done < end; done++) {
      await open.generate(requestOf(done), { onProgress: () => {}, onImage: () => (images += 1) })
      resident.push(await residentBytes(pid))
    }
    return Math.min(...resident.slice(-readings)) / Math.min(...resident.slice(0, readings))
  }

  await run(warmUpJobs)
  let growth = Infinity
  for (let round = 0; round < roundsMax && Math.abs(growth - 1) >= growthMax; round++) {
    growth = await run(jobs)
  }
  expect(images).toBe(done)
  expect(open.pid).toBe(pid)
  expect(growth).toBeGreaterThan(1 - growthMax)
  expect(growth).toBeLessThan(1 + growthMax)
})
