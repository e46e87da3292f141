import process from 'node:process'
import { unreachable } from '../../shared/assert.ts'
import { isAppError } from '../../shared/errors.ts'
import { readCommand, usage } from './command.ts'

/** `npm run model -- check|add|list PATH`. Exit codes: 0 well, 1 refused, 2 wrong usage. */
const exitCodes = { well: 0, refused: 1, usage: 2 } as const

async function run(): Promise<number> {
  const command = readCommand(process.argv.slice(2))
  if ('problem' in command) {
    const stream = command.problem === '' ? process.stdout : process.stderr
    stream.write(command.problem === '' ? usage : `${command.problem}\n\n${usage}`)
    return command.problem === '' ? exitCodes.well : exitCodes.usage
  }
  // Only what is asked for is loaded: onnxruntime takes its time.
  switch (command.verb) {
    case 'check': {
      const { checkFolder } = await import('./check.ts')
      await checkFolder(command, process)
      return exitCodes.well
    }
    case 'add': {
      const { addPack } = await import('./add.ts')
      await addPack(command, process)
      return exitCodes.well
    }
    case 'list': {
      const { listPacks } = await import('./list.ts')
      return (await listPacks(command, process)) ? exitCodes.well : exitCodes.refused
    }
    default:
      return unreachable(command.verb)
  }
}

process.exitCode = await run().catch((error: unknown) => {
  if (!isAppError(error)) throw error
  process.stderr.write(`${error.message}\n`)
  return exitCodes.refused
})
