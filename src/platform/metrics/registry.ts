import { collectDefaultMetrics, Registry } from 'prom-client'

/**
 * The metrics registry of a process, filled with what every Node process tells about itself:
 * CPU, memory, garbage collection and event-loop delay. Declare further metrics with prom-client,
 * in one file per process, with the unit in the name and bounded labels.
 */
export function createRegistry(processName: string): Registry {
  const registry = new Registry()
  registry.setDefaultLabels({ process: processName })
  collectDefaultMetrics({ register: registry })
  return registry
}
