import { z } from 'zod'
import type { KubeClient } from '../../platform/kube/client.ts'
import { unlessNotFound } from '../../platform/kube/errors.ts'
import { kueueGroup } from './names.ts'

const groupAnswer = z.object({ preferredVersion: z.object({ version: z.string() }) })
const versionAnswer = z.object({ resources: z.array(z.object({ name: z.string() })) })

/** The version in which the cluster serves Kueue's Workloads; undefined when it does not. */
export async function findWorkloadVersion(client: KubeClient): Promise<string | undefined> {
  const group = await find(client, `/apis/${kueueGroup}`)
  if (group === undefined) return undefined
  const { version } = groupAnswer.parse(group).preferredVersion
  const found = await find(client, `/apis/${kueueGroup}/${version}`)
  if (found === undefined) return undefined
  const isServed = versionAnswer.parse(found).resources.some(({ name }) => name === 'workloads')
  return isServed ? version : undefined
}

async function find(client: KubeClient, path: string): Promise<unknown> {
  return await client.request({ method: 'GET', path }).catch(unlessNotFound)
}
