import { readFileSync } from 'node:fs'

/** The text of a control file; undefined where the kernel has no such file. */
export function readTextOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
