import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../shared/errors.ts'
import { processStartOf } from './processes.ts'

/**
 * Two agents on one folder would run every pod twice, so the first one keeps it until it ends, in
 * whatever way. Throws `platform.misconfigured` when it lives. Returns how to give the folder back.
 */
export function lockFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, 'agent.lock')
  const [pid = '', start = ''] = readLock(file).split(' ')
  if (start !== '' && processStartOf(Number(pid)) === start) {
    const message = `another node agent (process ${pid}) works in ${folder}`
    throw new AppError('platform.misconfigured', message)
  }
  writeFileSync(file, `${process.pid} ${processStartOf(process.pid) ?? ''}`)
  return () => rmSync(file, { force: true })
}

function readLock(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
