import { cpus, loadavg } from 'node:os'
import process from 'node:process'
import { openTestFoundation } from '../support/foundation.ts'
import { startLoginApi } from './login-api.ts'
import { type Measured, measurePhase } from './login-load.ts'
import { printRow, printTitle } from './print.ts'

/**
 * `npm run bench:login`: what a flood of wrong logins does to everybody else, as ratios within one
 * run. The api is its own process; this one makes the load and runs beside it on the same cores.
 */
const floodPerSecond = 200
const ratioMax = 2

printTitle('Conditions')
printRow('processor', `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`)
printRow('node', process.version)
printRow('load average before', loads())

const foundation = await openTestFoundation()
try {
  const api = await startLoginApi(foundation.environment)
  try {
    await measurePhase(api, { perSecond: 0, places: 0 })
    for (const places of [1, 50]) {
      const quiet = await measurePhase(api, { perSecond: 0, places: 0 })
      const flooded = await measurePhase(api, { perSecond: floodPerSecond, places })
      print(`${floodPerSecond} wrong logins a second from ${places} addresses`, quiet, flooded)
    }
  } finally {
    await api.stop()
  }
} finally {
  await foundation.stop()
}
printRow('load average after', loads())

function print(title: string, quiet: Measured, flooded: Measured): void {
  printTitle(title)
  const ratio = printTimes('sign-in of others', quiet.signInMs, flooded.signInMs)
  printRow(`mark ratio ≤ ${ratioMax}`, ratio <= ratioMax ? 'met' : 'MISSED')
  printTimes('GET /v1/users/me of others', quiet.profileMs, flooded.profileMs)
  const answers = [...flooded.floodAnswers].map(([status, count]) => `${status}: ${count}`)
  printRow('answers to the flood', answers.join(', '))
  printRow('processor time of the api', `${quiet.cpuMs} → ${flooded.cpuMs} ms`)
  const failures = [...quiet.failed, ...flooded.failed]
  printRow('good requests that failed', failures.length === 0 ? 'none' : failures.join(', '))
}

/** The ratio of the slowest 1 % under the flood to those in quiet. */
function printTimes(label: string, quiet: readonly number[], flooded: readonly number[]): number {
  const [before, during] = [p99(quiet), p99(flooded)]
  printRow(`${label}: p99 quiet → flood`, `${before.toFixed(1)} → ${during.toFixed(1)} ms`)
  printRow('  ratio', `${(during / before).toFixed(2)} (n = ${flooded.length})`)
  return during / before
}

function p99(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] ?? NaN
}

function loads(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')
}
