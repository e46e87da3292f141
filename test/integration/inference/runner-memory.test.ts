import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { readManifest } from '../../../src/inference/models/manifest.ts'
import { Runner } from '../../../src/inference/runner/parent.ts'
import type { GenerateRequest } from '../../../src/inference/runner/protocol.ts'

const folder = path.resolve(import.meta.dirname, '../../../models/demo')
const jobs = 200
/** Code is compiled and the heap has grown by then. */
const warmUpJobs = 80
/** Between two collections the heap swells; what a leak raises is the lowest of so many readings. */
const readings = 40

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

test('a runner takes no more memory after 200 jobs', { timeout: 300_000 }, async () => {
  const open = new Runner()
  runner = open
  const { manifest } = await readManifest(folder)
  await open.load({ folder, files: manifest.files, threads: 1, provider: 'cpu' })
  const pid = open.pid ?? 0
  let images = 0
  const run = async (job: number) =>
    open.generate(requestOf(job), { onProgress: () => {}, onImage: () => (images += 1) })

  const resident: number[] = []
  for (let job = 0; job < warmUpJobs + jobs; job++) {
    await run(job)
    resident.push(await residentBytes(pid))
  }
  const before = Math.min(...resident.slice(warmUpJobs, warmUpJobs + readings))
  const after = Math.min(...resident.slice(-readings))

  expect(images).toBe(warmUpJobs + jobs)
  expect(open.pid).toBe(pid)
  expect(after / before).toBeGreaterThan(0.95)
  expect(after / before).toBeLessThan(1.05)
})
