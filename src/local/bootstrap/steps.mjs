// Plain JavaScript without dependencies: the bootstrap runs it on Node 20, before anything is
// installed, and src/local uses it again on Node 24 (types: steps.d.mts).
import { spawn } from 'node:child_process'
import { createWriteStream, readFileSync } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const lineEveryMs = 15_000
const redrawEveryMs = 500
const lockPollMs = 500
const tailLines = 15

/** Where builds and downloads are kept between runs and between clones. */
export function cacheFolder(environment = process.env) {
  if (environment.ATELIER_CACHE_FOLDER) return environment.ATELIER_CACHE_FOLDER
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'atelier')
}

/** Steps that run now; several may run side by side and share one line of a terminal. */
const running = new Map()
let redraw

/**
 * Runs `work` and tells on standard error how long it has taken: a rewritten line on a terminal,
 * a line every 15 s elsewhere. Quick steps leave one line, or none with `quietUnderMs`.
 */
export async function runStep(title, work, { quietUnderMs = 0 } = {}) {
  const step = { title, startedMs: performance.now(), shownMs: performance.now() }
  running.set(step, true)
  redraw ??= setInterval(showRunning, redrawEveryMs).unref()
  try {
    const result = await work()
    if (performance.now() - step.startedMs >= quietUnderMs) printLine(`  ✓ ${described(step)}`)
    return result
  } catch (error) {
    printLine(`  ✗ ${described(step)}`)
    throw error
  } finally {
    running.delete(step)
    if (running.size === 0) {
      clearInterval(redraw)
      redraw = undefined
    }
  }
}

/** Prints a whole line without being mixed up with the progress line. */
export function printLine(text, stream = process.stderr) {
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[2K')
  stream.write(`${text}\n`)
}

function showRunning() {
  if (process.stderr.isTTY) {
    const text = [...running.keys()].map(described).join('  |  ')
    const columns = process.stderr.columns || 100
    process.stderr.write(`\r\u001B[2K  … ${text.slice(0, columns - 6)}`)
    return
  }
  for (const step of running.keys()) {
    if (performance.now() - step.shownMs < lineEveryMs) continue
    step.shownMs = performance.now()
    process.stderr.write(`  … ${described(step)}\n`)
  }
}

function described(step) {
  return `${step.title} (${elapsed(performance.now() - step.startedMs)})`
}

/** 0.4 s, 12 s, 3 min 07 s. */
export function elapsed(ms) {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`
}

/**
 * Makes `folder` once: `make` fills a temporary folder beside it, which gets its name only when
 * complete, so a half-finished build is never used. A second process waits for the first.
 */
export async function makeOnce({ folder, title, make }) {
  if (await exists(folder)) return folder
  await mkdir(dirname(folder), { recursive: true })
  return runStep(title, async () => {
    const unlock = await lock(`${folder}.lock`)
    try {
      if (!(await exists(folder))) await fill(folder, make)
      return folder
    } finally {
      await unlock()
    }
  })
}

async function fill(folder, make) {
  const temporary = `${folder}.tmp`
  try {
    // We hold the lock: what lies there was left by a process that was killed.
    await rm(temporary, { recursive: true, force: true })
    await mkdir(temporary, { recursive: true })
    await make(temporary)
    await rename(temporary, folder)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined)
    throw error
  }
}

/**
 * A lock file that names its holder; the lock of a dead process is taken over. It only saves
 * double work: what makes results whole is the rename above.
 */
export async function lock(path) {
  const mine = JSON.stringify(identityOf(process.pid))
  await mkdir(dirname(path), { recursive: true })
  for (;;) {
    try {
      await writeFile(path, mine, { flag: 'wx' })
      return () => rm(path, { force: true })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const holder = await readFile(path, 'utf8').catch(() => '')
    // An empty file is a lock in the making; only one that stays empty has lost its writer.
    const held = holder === '' ? await isYoung(path) : isAlive(parsed(holder))
    if (held) await sleep(lockPollMs)
    else await rm(path, { force: true })
  }
}

async function isYoung(path) {
  const facts = await stat(path).catch(() => undefined)
  return facts === undefined || Date.now() - facts.mtimeMs < 10_000
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return { pid: 0, started: '' }
  }
}

/** A process by its id and start time: an id alone is soon given to another process. */
export function identityOf(pid) {
  return { pid, started: startOf(pid) ?? '' }
}

/** True while that very process runs; a zombie has ended. */
export function isAlive({ pid, started }) {
  const now = startOf(pid)
  return now !== undefined && now === started
}

function startOf(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  try {
    // The command in parentheses may hold blanks: count fields after it (proc(5), fields 3 and 22).
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    if (process.platform === 'linux') return undefined
  }
  try {
    process.kill(pid, 0)
    return 'running'
  } catch {
    return undefined
  }
}

/** Runs a program to its end with its output in a log file; a failure carries the log's end. */
export async function runLogged({ command, args, cwd, environment, logFile, signal }) {
  await mkdir(dirname(logFile), { recursive: true })
  const log = createWriteStream(logFile, { flags: 'a' })
  log.write(`\n$ ${[command, ...args].join(' ')}\n`)
  const child = spawn(command, args, {
    cwd,
    env: environment ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  })
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  const ended = await new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, by) => resolve(code === 0 ? '' : by || `exit code ${code}`))
  })
  await new Promise((resolve) => log.end(resolve))
  if (ended === '') return
  // Only what this run wrote: earlier ones stand before the last command line.
  const tail = (await tailOf(logFile)).split(/^ {4}\$ .*\n?/m).at(-1)
  throw new Error(`${command} ${args[0] ?? ''} failed (${ended}); log: ${logFile}\n${tail}`)
}

/** The last lines of a text file, indented, for a message. */
export async function tailOf(path, lines = tailLines) {
  const text = await readFile(path, 'utf8').catch(() => '')
  const last = text.trimEnd().split('\n').slice(-lines)
  return last.map((line) => `    ${line.slice(0, 300)}`).join('\n')
}

export async function exists(path) {
  return stat(path).then(
    () => true,
    () => false,
  )
}
