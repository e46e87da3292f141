import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { isMissing, isThere, fileSystemNowMs } from './files.ts'
import type { FetchTiming } from './limits.ts'

export type LockPlace = {
  /** Of all locks of one cache. */
  readonly folder: string
  readonly name: string
  /** One pod: a lock that it left behind, killed, is its own. */
  readonly holder: string
  readonly timing: Pick<FetchTiming, 'lockBeatMs' | 'lockStaleMs'>
}

export type HeldLock = {
  /** Fires when another pod has taken the lock over, because this one gave no sign of life. */
  readonly lost: AbortSignal
  /** Rejects when the lock is lost. */
  readonly confirm: () => Promise<void>
  readonly release: () => Promise<void>
}

const released = 'released'

/**
 * Takes a lock between pods that share a folder, or returns undefined while another one has it.
 *
 * A lock is the file `<name>.<number>` with the greatest number. Whoever wants it makes the next
 * number, which only one can (O_EXCL), once the holder has written that it is released, or has
 * given no sign of life for too long. Numbers only grow, so whoever was away meanwhile and comes
 * back finds a greater one than its own and stops.
 */
export async function tryLock(place: LockPlace): Promise<HeldLock | undefined> {
  await mkdir(place.folder, { recursive: true })
  const newest = await newestNumber(place)
  if (newest > 0 && (await isTaken(place, newest))) return undefined
  const number = newest + 1
  const handle = await open(fileOf(place, number), 'wx').catch((error: unknown) => {
    if (isThere(error)) return undefined
    throw error
  })
  if (handle === undefined) return undefined
  await say(handle, place.holder)
  if ((await newestNumber(place)) === number) {
    await removeBelow(place, number)
    return hold(place, number, handle)
  }
  // Between the look and the open others had the lock, and tidied up.
  await handle.close()
  await rm(fileOf(place, number), { force: true })
  return undefined
}

/** Whether somebody holds the lock now. */
export async function isLocked(place: LockPlace): Promise<boolean> {
  const newest = await newestNumber(place)
  return newest > 0 && (await isTaken(place, newest))
}

function hold(place: LockPlace, number: number, handle: FileHandle): HeldLock {
  const lost = new AbortController()
  const confirm = async () => {
    if ((await newestNumber(place)) !== number) lost.abort(new Error('the lock was taken over'))
    lost.signal.throwIfAborted()
  }
  const beat = async () => {
    await confirm()
    await say(handle, place.holder)
  }
  let beating = Promise.resolve()
  const timer = setInterval(() => {
    // A disk that fails is as good as a lock that is lost.
    beating = beating.then(beat).catch((error: unknown) => lost.abort(error))
  }, place.timing.lockBeatMs)
  return {
    lost: lost.signal,
    confirm,
    release: async () => {
      clearInterval(timer)
      // Otherwise it might write after this has, and the lock would look taken.
      await beating
      if (!lost.signal.aborted) {
        await handle.truncate(0)
        await say(handle, released)
      }
      await handle.close()
    },
  }
}

/** Flushed, so that on a network file system the others see it at once. */
async function say(handle: FileHandle, text: string): Promise<void> {
  await handle.write(text, 0)
  await handle.datasync()
}

async function isTaken(place: LockPlace, number: number): Promise<boolean> {
  const handle = await open(fileOf(place, number)).catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw error
  })
  // Its successor has tidied up, so somebody has the lock.
  if (handle === undefined) return true
  try {
    const text = await handle.readFile('utf8')
    if (text === released || text === place.holder) return false
    const { mtimeMs } = await handle.stat()
    const probe = path.join(place.folder, `.now-${place.holder}`)
    return (await fileSystemNowMs(probe)) - mtimeMs <= place.timing.lockStaleMs
  } finally {
    await handle.close()
  }
}

/** 0: nobody ever had it. */
async function newestNumber(place: LockPlace): Promise<number> {
  return Math.max(0, ...(await numbersOf(place)))
}

async function numbersOf({ folder, name }: LockPlace): Promise<readonly number[]> {
  const files = await readdir(folder)
  return files
    .filter((file) => file.startsWith(`${name}.`))
    .map((file) => Number(file.slice(name.length + 1)))
}

async function removeBelow(place: LockPlace, number: number): Promise<void> {
  for (const older of await numbersOf(place)) {
    if (older < number) await rm(fileOf(place, older), { force: true })
  }
}

function fileOf({ folder, name }: LockPlace, number: number): string {
  return path.join(folder, `${name}.${number}`)
}
