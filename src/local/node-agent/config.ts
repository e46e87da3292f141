import { z } from 'zod'
import { flag } from '../../platform/config/fields.ts'
import { nodeAgentConfigSchema } from '../../platform/config/node-agent.ts'
import { type Environment, readConfig } from '../../platform/config/read-config.ts'

/** Variables that only people who share a cluster with others need. */
const extraSchema = z.object({
  ATELIER_NODE_PREFIX: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$/, { error: 'must be a short DNS label' })
    .default('atelier-node'),
  ATELIER_NODE_ALLOW_FOREIGN: flag.prefault('false'),
})

/** All settings of the process; throws `platform.misconfigured` that names what is wrong. */
export function readAgentConfig(environment?: Environment) {
  const config = readConfig(nodeAgentConfigSchema, environment)
  const extra = readConfig(extraSchema, environment)
  return {
    ...config,
    nodePrefix: extra.ATELIER_NODE_PREFIX,
    allowForeignNodes: extra.ATELIER_NODE_ALLOW_FOREIGN,
  }
}
