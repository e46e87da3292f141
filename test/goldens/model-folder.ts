import { existsSync } from 'node:fs'
import path from 'node:path'

const givenModels = path.join(import.meta.dirname, 'data/models')

/** A model of the set itself, else the one of that name that test/goldens/data has. */
export function modelFolder(folder: string, name: string): string {
  const own = path.join(folder, 'models', name)
  return existsSync(own) ? own : path.join(givenModels, name)
}
