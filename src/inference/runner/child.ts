import { enableCompileCache } from 'node:module'

/**
 * Where a runner process begins. Everything else is imported after the cache of compiled modules
 * is on, which takes a quarter of a second off the second and later starts on a machine.
 */
enableCompileCache()
await import('./serve.ts')
