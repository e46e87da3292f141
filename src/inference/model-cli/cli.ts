import process from 'node:process'
import { runModelCommand } from './run.ts'

process.exitCode = await runModelCommand(process.argv.slice(2), process)
