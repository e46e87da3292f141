import type { LocalProcess, ProcessSpec, Supervisor } from './supervisor.ts'

/** A process that tests may kill and start again with the same arguments. */
export type Restartable = {
  readonly name: string
  readonly pid: () => number
  /** Sends SIGKILL and resolves when the process is gone. */
  readonly kill: () => Promise<void>
  /** Starts it anew and resolves when it is ready; stops it first when it still runs. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

export async function startRestartable(
  supervisor: Supervisor,
  spec: ProcessSpec,
): Promise<Restartable> {
  let current: LocalProcess = await supervisor.start(spec)
  return {
    name: spec.name,
    pid: () => current.pid,
    kill: async () => {
      current.expectEnd()
      current.kill('SIGKILL')
      await current.ended
    },
    restart: async () => {
      await current.stop()
      current = await supervisor.start(spec)
    },
    stop: () => current.stop(),
  }
}
