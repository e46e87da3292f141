import { constants } from 'node:fs'
import { lstat, open, readdir, realpath, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { placeFor } from './files.ts'
import { LEASE_KEPT_MS } from './limits.ts'

export type LeaseOptions = {
  readonly onError: (error: unknown) => void
  readonly beatMs: number
}

export type Lease = {
  /** No more signs of life; the last one stands, for the container that comes next. */
  readonly handOver: () => void
  /** The pack is not used any more. */
  readonly end: () => Promise<void>
}

const lastUse = '.last-use'

/**
 * Says that this pod uses a pack, by writing the file `…/<digest>/<holder>` now and again. Whoever
 * evicts looks at the ages of these files.
 */
export async function takeLease(file: string, { onError, beatMs }: LeaseOptions): Promise<Lease> {
  const folder = path.dirname(file)
  const root = await realpath(path.dirname(folder))
  const name = path.join(path.basename(folder), path.basename(file))
  const beat = async () => await sign(await placeFor(root, name))
  await beat()
  const timer = setInterval(() => {
    beat().catch(onError)
  }, beatMs)
  timer.unref()
  return {
    handOver: () => clearInterval(timer),
    end: async () => {
      clearInterval(timer)
      await beat()
      // Keeps the time of the last sign of life, which is that of the last use.
      await rename(file, path.join(folder, lastUse))
    },
  }
}

/** Pods that make pictures may write leases too, and whatever they write is not followed. */
async function sign(file: string): Promise<void> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants
  const handle = await open(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW)
  try {
    await handle.write('.')
  } finally {
    await handle.close()
  }
}

export type PackUse = { readonly inUse: boolean; readonly lastUseMs: number }

/** What the leases of one pack say at the file system's time `nowMs`; `lastUseMs` 0: never used. */
export async function readUse(
  folder: string,
  { nowMs, staleMs }: { readonly nowMs: number; readonly staleMs: number },
): Promise<PackUse> {
  const leases = await readLeases(folder)
  const lastUseMs = Math.max(0, ...leases.map(({ atMs }) => atMs))
  for (const { file, atMs } of leases) {
    // Of pods that were killed; the newest file keeps the time of the last use.
    if (atMs < lastUseMs && nowMs - atMs > LEASE_KEPT_MS) await rm(file, { force: true })
  }
  const inUse = leases.some(({ atMs, isUse }) => isUse && nowMs - atMs <= staleMs)
  return { inUse, lastUseMs }
}

async function readLeases(folder: string) {
  const isFolder = (await lstat(folder).catch(() => undefined))?.isDirectory() === true
  const names = isFolder ? await readdir(folder) : []
  const found = await Promise.all(
    names.map(async (name) => {
      const file = path.join(folder, name)
      const facts = await lstat(file).catch(() => undefined)
      // A folder or link is no lease, whoever has put it there.
      return facts?.isFile() ? [{ file, atMs: facts.mtimeMs, isUse: name !== lastUse }] : []
    }),
  )
  return found.flat()
}
