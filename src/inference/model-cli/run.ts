import { unreachable } from '../../shared/assert.ts'
import { isAppError } from '../../shared/errors.ts'
import type { Streams } from './check.ts'
import { type Command, readCommand, usage } from './command.ts'

const exitCodes = { well: 0, refused: 1, usage: 2 } as const

/** `npm run model -- check|add|list PATH`. Exit codes: 0 well, 1 refused, 2 wrong usage. */
export async function runModelCommand(args: readonly string[], streams: Streams): Promise<number> {
  const command = readCommand(args)
  if ('problem' in command) {
    const { stdout, stderr } = streams
    if (command.problem === '') stdout.write(usage)
    else stderr.write(`${command.problem}\n\n${usage}`)
    return command.problem === '' ? exitCodes.well : exitCodes.usage
  }
  try {
    return await obey(command, streams)
  } catch (error) {
    if (!isAppError(error)) throw error
    streams.stderr.write(`${error.message}\n`)
    return exitCodes.refused
  }
}

/** Only what is asked for is loaded: onnxruntime takes its time. */
async function obey(command: Command, streams: Streams): Promise<number> {
  switch (command.verb) {
    case 'check': {
      const { checkFolder } = await import('./check.ts')
      await checkFolder(command, streams)
      return exitCodes.well
    }
    case 'add': {
      const { addPack } = await import('./add.ts')
      await addPack(command, streams)
      return exitCodes.well
    }
    case 'list': {
      const { listPacks } = await import('./list.ts')
      return (await listPacks(command, streams)) ? exitCodes.well : exitCodes.refused
    }
    default:
      return unreachable(command.verb)
  }
}
