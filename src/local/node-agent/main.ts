import { systemClock } from '../../platform/clock/system-clock.ts'
import { readNodeAgentConfig } from '../../platform/config/node-agent.ts'
import { startMetricsServer } from '../../platform/http/metrics-server.ts'
import { openKubeClient } from '../../platform/kube/client.ts'
import { createLogger } from '../../platform/log/logger.ts'
import { countKubeRequests } from '../../platform/metrics/kube-metrics.ts'
import { createRegistry } from '../../platform/metrics/registry.ts'
import { isAppError } from '../../shared/errors.ts'
import { startNodeAgent } from './agent.ts'
import { readImageMap } from './image-map.ts'

/** The process node agent: a development tool that plays the Nodes of the embedded cluster. */
async function main(): Promise<void> {
  const config = readNodeAgentConfig()
  const imageMap = await readImageMap(config.imageMapFile)
  const registry = createRegistry('atelier-node-agent')
  const client = openKubeClient({
    kubeconfigPath: config.kubeconfigPath,
    userAgent: 'atelier-node-agent',
    observe: countKubeRequests(registry),
  })
  let isReady = false
  const ready = () => isReady
  await startMetricsServer({ listen: config.metricsListen, registry, ready })
  const agent = await startNodeAgent({
    ...config,
    client,
    clock: systemClock,
    random: Math.random,
    log: createLogger({ process: 'atelier-node-agent', level: config.logLevel }),
    imageMap,
    folder: config.nodeFolder,
  })
  isReady = true
  const end = () => {
    agent.stop().then(() => process.exit(0), failWith)
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
}

/** An operator's fault is one clear line; a bug needs its stack. */
function failWith(error: unknown): never {
  const log = createLogger({ process: 'atelier-node-agent' })
  if (isAppError(error)) log.fatal(error.message)
  else log.fatal({ err: error }, 'the node agent failed')
  process.exit(1)
}

main().catch(failWith)
