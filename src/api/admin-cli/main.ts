import { randomBytes } from 'node:crypto'
import { systemClock } from '../../platform/clock/system-clock.ts'
import { readAdminConfig } from '../../platform/config/admin.ts'
import { isAppError } from '../../shared/errors.ts'
import { type Command, readCommand, usage } from './command.ts'
import { openAdmin } from './open.ts'
import { runCommand } from './run.ts'

/** `npm run admin -- create|list|set-role|enable|rotate-keys`: see `usage`. */
const exitCodes = { well: 0, refused: 1, usage: 2 } as const

async function run(): Promise<number> {
  const command = readCommand(process.argv.slice(2))
  if (!('problem' in command)) return await runOnDatabase(command)
  const { problem } = command
  if (problem === '') process.stdout.write(usage)
  else process.stderr.write(`${problem}\n\n${usage}`)
  return problem === '' ? exitCodes.well : exitCodes.usage
}

async function runOnDatabase(command: Command): Promise<number> {
  const { mongodbUri, secretsFolder } = readAdminConfig()
  const parts = await openAdmin({ mongodbUri, clock: systemClock, randomBytes })
  try {
    const lines = await runCommand(
      { parts, secretsFolder, randomBytes, terminal: process },
      command,
    )
    for (const line of lines) process.stdout.write(`${line}\n`)
    return exitCodes.well
  } finally {
    await parts.database.close()
  }
}

process.exitCode = await run().catch((error: unknown) => {
  if (!isAppError(error)) throw error
  process.stderr.write(`${error.message}\n`)
  return exitCodes.refused
})
