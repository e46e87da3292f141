import { resolve } from 'node:path'

/** The clone's root folder. */
export const projectFolder = resolve(import.meta.dirname, '../..')
