import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { childEnvironment } from '../../../src/platform/config/environment.ts'
import {
  loraFolderVariable,
  packLeaseVariable,
  podEnvironment,
  poolEnvironment,
  poolModelFolderVariable,
} from '../../../src/shared/domain/pod-contract.ts'
import { eventually } from '../../support/eventually.ts'
import { openPoolCaller, type PoolCaller } from './pool-caller.ts'

type Pack = { readonly name: string; readonly folder: string }

export type PoolSettings = {
  readonly apiUrl: string
  readonly token: string
  readonly models: readonly Pack[]
  readonly loras?: readonly Pack[]
  readonly slots?: number
  readonly graceSeconds?: number
  /** Files of the leases of its packs, as `…/.leases/<digest>/<pod>`. */
  readonly leases?: readonly string[]
}

export type PoolProcess = PoolCaller & {
  readonly pid: number
  readonly signal: (name: NodeJS.Signals) => void
  readonly end: Promise<{ readonly code: number | null; readonly output: string }>
  readonly output: () => string
  readonly close: () => Promise<void>
}

const main = path.resolve(import.meta.dirname, '../../../src/inference/main.ts')

/** Starts the real program as a pool pod, with the environment that the controller gives it. */
export async function startPoolProcess(settings: PoolSettings): Promise<PoolProcess> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atelier-pool-'))
  const key = randomBytes(32)
  const child = spawn(process.execPath, [main], {
    env: childEnvironment(await writeEnvironment(settings, { folder, key })),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => void (output += text.toString('utf8')))
  }
  const end = new Promise<{ code: number | null; output: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, output })),
  )
  const url = await eventually(() => findUrl(output))

  return {
    ...(await openPoolCaller(url, key)),
    pid: child.pid ?? 0,
    signal: (name) => child.kill(name),
    end,
    output: () => output,
    close: async () => {
      child.kill('SIGKILL')
      await end
      await rm(folder, { recursive: true, force: true })
    },
  }
}

type Own = { readonly folder: string; readonly key: Uint8Array }

async function writeEnvironment(settings: PoolSettings, { folder, key }: Own) {
  const { models, loras = [], leases = [], slots = 1, graceSeconds = 60 } = settings
  const [tokenFile, keyFile] = [path.join(folder, 'token'), path.join(folder, 'key')]
  await writeFile(tokenFile, settings.token)
  await writeFile(keyFile, key)
  return {
    [poolEnvironment.pool]: 'demo-pool',
    [poolEnvironment.listen]: '127.0.0.1:0',
    [poolEnvironment.keyFile]: keyFile,
    [poolEnvironment.models]: namesOf(models),
    [poolEnvironment.loras]: namesOf(loras),
    [poolEnvironment.slots]: String(slots),
    [poolEnvironment.podUid]: 'uid-of-the-pod',
    [podEnvironment.apiUrl]: settings.apiUrl,
    [podEnvironment.tokenFile]: tokenFile,
    [podEnvironment.graceSeconds]: String(graceSeconds),
    [podEnvironment.podIp]: '127.0.0.1',
    ...Object.fromEntries(models.map((pack, i) => [poolModelFolderVariable(i), pack.folder])),
    ...Object.fromEntries(loras.map((pack, i) => [loraFolderVariable(i), pack.folder])),
    ...Object.fromEntries(leases.map((file, i) => [packLeaseVariable(i), file])),
  }
}

function namesOf(packs: readonly Pack[]): string {
  return packs.map(({ name }) => name).join(',')
}

/** The line with which the program says where it listens. */
function findUrl(output: string): string {
  const [, host, port] = /"host":"([^"]+)","port":(\d+)/.exec(output) ?? []
  if (port === undefined) throw new Error(`the pool pod does not listen yet: ${output}`)
  return `http://${host}:${port}`
}

/** Process ids of the runners. */
export async function childPids(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.trim().split(' ').filter(Boolean).map(Number)
}
