import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { isAppError } from '../shared/errors.ts'
import { type CommandLine, help, parseCommandLine } from './cli/command-line.ts'
import { readCommand } from './cli/read-command.ts'
import { readManifest } from './models/manifest.ts'
import { startProgressBar } from './progress-bar.ts'
import { Runner } from './runner/parent.ts'
import type { GenerationProgress } from './runner/protocol.ts'
import { cpuBudget } from './runtime/cpu-budget.ts'
import { chooseProvider } from './runtime/execution-provider.ts'

async function makePictures({ model: folder, output, ...line }: CommandLine): Promise<number> {
  const runner = new Runner()
  try {
    const pack = await readManifest(folder)
    const request = await readCommand(line, pack)
    const { files, preview } = pack.manifest
    const provider = chooseProvider('auto')
    const load = { folder, files, threads: cpuBudget(), provider, ...(preview && { preview }) }
    await runner.load(load)
    process.once('SIGINT', () => runner.cancel({ graceMs: 10_000 }))
    const bar = startProgressBar(process.stderr)
    const written: Promise<void>[] = []
    const outcome = await runner.generate(request, {
      onProgress: (progress) => bar.update(shareOf(progress, request.images)),
      onImage: (image) => written.push(writeFile(nameOf(output, image.index), image.png)),
    })
    bar.end()
    await Promise.all(written)
    process.stdout.write(`${outcome}: ${written.length} of ${request.images}, ${output}\n`)
    return outcome === 'Completed' ? 0 : 10
  } finally {
    await runner.close()
  }
}

function shareOf({ stepsDone, steps }: GenerationProgress, images: number) {
  return { done: stepsDone, total: steps * images }
}

function nameOf(output: string, index: number): string {
  if (index === 0) return output
  return output.replace(/(\.[a-z]+)?$/i, `-${index + 1}$1`)
}

async function main(args: readonly string[]): Promise<number> {
  const line = parseCommandLine(args)
  if (line === 'Help') {
    process.stdout.write(help)
    return 0
  }
  return await makePictures(line)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!isAppError(error)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = error.code === 'request.invalid' ? 20 : 1
}
