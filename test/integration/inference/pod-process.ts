import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { childEnvironment } from '../../../src/platform/config/environment.ts'
import { podEnvironment } from '../../../src/shared/domain/pod-contract.ts'

export type PodProcess = {
  readonly process: ChildProcess
  readonly end: Promise<{ readonly code: number | null; readonly output: string }>
  /** What the program left for the kubelet. */
  readonly terminationMessage: () => Promise<unknown>
  readonly remove: () => Promise<void>
}

const main = path.resolve(import.meta.dirname, '../../../src/inference/main.ts')

/** Starts the real pod program with the environment that the controller gives it. */
export async function startPodProcess(options: {
  readonly apiUrl: string
  readonly token: string
  readonly modelFolder: string
  /** More variables, such as the folders of inputs and LoRAs. */
  readonly environment?: Readonly<Record<string, string>>
}): Promise<PodProcess> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atelier-pod-'))
  const [tokenFile, terminationLog] = [path.join(folder, 'token'), path.join(folder, 'log')]
  await writeFile(tokenFile, options.token)
  const child = spawn(process.execPath, [main], {
    env: childEnvironment({
      [podEnvironment.jobId]: '0'.repeat(26),
      [podEnvironment.attempt]: '1',
      [podEnvironment.apiUrl]: options.apiUrl,
      [podEnvironment.tokenFile]: tokenFile,
      [podEnvironment.modelFolder]: options.modelFolder,
      [podEnvironment.graceSeconds]: '20',
      [podEnvironment.podIp]: '127.0.0.1',
      [podEnvironment.terminationLog]: terminationLog,
      ...options.environment,
    }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (text: Buffer) => {
    output += text.toString('utf8')
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  return {
    process: child,
    end: new Promise((resolve) => child.on('close', (code) => resolve({ code, output }))),
    terminationMessage: async () => JSON.parse(await readFile(terminationLog, 'utf8')),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
