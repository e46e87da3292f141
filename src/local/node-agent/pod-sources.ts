import type { KubeClient } from '../../platform/kube/client.ts'
import { isNotFound } from '../../platform/kube/errors.ts'
import { getObject } from '../../platform/kube/objects.ts'
import { configMaps, secrets } from '../../platform/kube/resources.ts'
import type { PodSources, SourceContent } from './environment.ts'
import { type Pod, allContainers } from './pod.ts'

type Names = { readonly secrets: readonly string[]; readonly configMaps: readonly string[] }

/** Names of the Secrets and ConfigMaps that a pod's variables and volumes refer to. */
export function referencedNames(pod: Pod): Names {
  const volumes = pod.spec.volumes ?? []
  const projections = volumes.flatMap((volume) => [volume, ...(volume.projected?.sources ?? [])])
  const variables = allContainers(pod).flatMap(({ env = [] }) => env.map((each) => each.valueFrom))
  const imports = allContainers(pod).flatMap((container) => container.envFrom ?? [])
  return {
    secrets: unique([
      ...volumes.map((volume) => volume.secret?.secretName),
      ...volumes.flatMap(({ projected }) => projected?.sources?.map(({ secret }) => secret?.name)),
      ...variables.map((from) => from?.secretKeyRef?.name),
      ...imports.map((source) => source.secretRef?.name),
    ]),
    configMaps: unique([
      ...projections.map((source) => source.configMap?.name),
      ...variables.map((from) => from?.configMapKeyRef?.name),
      ...imports.map((source) => source.configMapRef?.name),
    ]),
  }
}

/** Reads what the pod refers to, all at once; what is missing is undefined. Throws KubeError. */
export async function gatherSources(client: KubeClient, pod: Pod): Promise<PodSources> {
  const { namespace } = pod.metadata
  const names = referencedNames(pod)
  const [secretContents, configMapContents] = await Promise.all([
    readAll(names.secrets, async (name) => {
      const { data } = await getObject(client, secrets, { namespace, name })
      return contentOf(data, 'base64')
    }),
    readAll(names.configMaps, async (name) => {
      const { data, binaryData } = await getObject(client, configMaps, { namespace, name })
      return new Map([...contentOf(data, 'utf8'), ...contentOf(binaryData, 'base64')])
    }),
  ])
  return { secrets: secretContents, configMaps: configMapContents }
}

async function readAll(
  names: readonly string[],
  read: (name: string) => Promise<SourceContent>,
): Promise<ReadonlyMap<string, SourceContent | undefined>> {
  const contents = names.map(async (name): Promise<[string, SourceContent | undefined]> => {
    const content = await read(name).catch((error: unknown) => {
      if (isNotFound(error)) return undefined
      throw error
    })
    return [name, content]
  })
  return new Map(await Promise.all(contents))
}

function contentOf(
  data: Readonly<Record<string, string>> = {},
  encoding: BufferEncoding,
): SourceContent {
  return new Map(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, encoding)]))
}

function unique(names: readonly (string | undefined)[]): readonly string[] {
  return [...new Set(names.filter((name) => name !== undefined))]
}
