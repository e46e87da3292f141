import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { childEnvironment } from '../../../src/platform/config/environment.ts'
import { type Rig, imageMapJson, reserveNodes } from './support.ts'

const main = join(import.meta.dirname, '../../../src/local/node-agent/main.ts')

/** The agent as its own process, which a test may kill. */
export type AgentProcess = {
  readonly signal: (signal: NodeJS.Signals) => void
  /** Exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>
  readonly output: () => string
}

/** Spawns the agent with these variables on top of the rig's. */
export function spawnAgent(rig: Rig, variables: Record<string, string> = {}): AgentProcess {
  const imageMapFile = join(rig.folder, 'images.json')
  writeFileSync(imageMapFile, JSON.stringify(imageMapJson))
  const child = spawn(process.execPath, [main], {
    env: childEnvironment({
      KUBECONFIG: rig.kubeconfigPath,
      ATELIER_NODE_FOLDER: rig.folder,
      ATELIER_NODE_COUNT: '1',
      ATELIER_NODE_PREFIX: rig.prefix,
      ATELIER_NODE_ALLOW_FOREIGN: 'true',
      ATELIER_IMAGE_MAP: imageMapFile,
      ATELIER_METRICS_LISTEN: '127.0.0.1:0',
      ...variables,
    }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output: string[] = []
  child.stdout.on('data', (bytes: Buffer) => output.push(bytes.toString('utf8')))
  child.stderr.on('data', (bytes: Buffer) => output.push(bytes.toString('utf8')))
  return {
    signal: (signal) => child.kill(signal),
    exited: exitOf(child),
    output: () => output.join(''),
  }
}

/** Resolves when the agent serves its Nodes, and keeps other tests' pods off them. */
export async function startAgentProcess(rig: Rig): Promise<AgentProcess> {
  const agent = spawnAgent(rig)
  const ended = agent.exited.then(() => 'ended')
  while (!agent.output().includes('the process node agent runs')) {
    const soon = new Promise<string>((resolve) => setTimeout(() => resolve('waits'), 50))
    if ((await Promise.race([ended, soon])) === 'ended') throw new Error(agent.output())
  }
  await reserveNodes(rig)
  return agent
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  return await new Promise((resolve) => {
    child.once('exit', (code) => resolve(code))
  })
}
