import type { Job } from '../platform/kube/resources.ts'
import { assert, unreachable } from '../shared/assert.ts'
import type { ModelSpec } from '../shared/crd/model.ts'
import {
  fetchContainerName,
  fetchCredentialsVolume,
  fetchEnvironment,
  fetchVariables,
  packHolderVariable,
  packLeasesFolder,
  packLeaseVariable,
  podPaths,
} from '../shared/domain/pod-contract.ts'
import { packUrl } from './pack-url.ts'
import type { ControllerSettings } from './settings.ts'

type PodSpec = NonNullable<NonNullable<Job['spec']>['template']['spec']>
export type Container = PodSpec['containers'][number]
export type Volume = NonNullable<PodSpec['volumes']>[number]
export type VolumeMount = NonNullable<Container['volumeMounts']>[number]
export type Variable = NonNullable<Container['env']>[number]

/** One pack that a pod needs. */
export type PodPack = {
  /** Unique in the pod: of the volume, where the pack has one of its own. */
  readonly name: string
  readonly spec: ModelSpec
}

export type PackContext = {
  readonly settings: Pick<ControllerSettings, 'inferenceImage' | 'packs'>
  /** Of the container that reads the packs: the one that fetches them asks for no more. */
  readonly amounts: { readonly cpu: string; readonly memory: string }
  /** With these it tells the api how far it is: variables and the volume of the token. */
  readonly reporting?: {
    readonly variables: readonly Variable[]
    readonly mounts: readonly VolumeMount[]
  }
}

/** What a pod specification needs so that its packs are there. */
export type PackParts = {
  /** Where the container finds the packs, in their order. */
  readonly folders: readonly string[]
  readonly volumes: readonly Volume[]
  /** For the container that reads the packs, as are the variables. */
  readonly mounts: readonly VolumeMount[]
  readonly variables: readonly Variable[]
  /** Fetches what is to be fetched; none when nothing is. */
  readonly initContainers: readonly Container[]
}

/** Nobody in a pod of ours needs more. */
export const leastPrivilege = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}

const scratchVolume = 'packs'

/** Volumes, mounts and variables for the packs of a pod, whatever their delivery is. */
export function packParts(packs: readonly PodPack[], context: PackContext): PackParts {
  const fetched = planFetches(packs, context)
  return {
    folders: packs.map((pack) => folderOf(pack, fetched)),
    volumes: [...packs.flatMap(ownVolume), ...fetchVolumes(fetched, context)],
    mounts: [...packs.flatMap(ownMount), ...readMounts(fetched)],
    variables: leaseVariables(fetched),
    initContainers: fetched.length === 0 ? [] : [fetchContainer(fetched, context)],
  }
}

/** A pack to be fetched: from where, by which Secret, into which volume. */
type Fetch = {
  readonly name: string
  readonly url: string
  readonly digest: string
  readonly cache: Cache
  readonly secret: Numbered | undefined
}
type Numbered = { readonly index: number; readonly name: string }
/** `claim`: absent for a cache that lives as long as the pod. */
type Cache = { readonly volume: string; readonly path: string; readonly claim?: Numbered }

function planFetches(packs: readonly PodPack[], { settings }: PackContext): readonly Fetch[] {
  const wanted = packs.flatMap(({ name, spec: { delivery, digest } }) => {
    const { type, fetch } = delivery
    return type === 'Fetch' && fetch !== undefined ? [{ name, digest, ...fetch }] : []
  })
  const claims = numbered(wanted.flatMap(({ cache }) => cache?.claim ?? []))
  const secrets = numbered(wanted.flatMap(({ secretRef }) => secretRef?.name ?? []))
  return wanted.map(({ name, digest, url: source, cache, secretRef }) => {
    const url = packUrl(source, settings.packs)
    assert(url !== undefined && digest !== undefined, `the Model of ${name} is not ready`)
    return {
      name,
      url,
      digest,
      cache: cacheOf(claims.find((claim) => claim.name === cache?.claim)),
      secret: secrets.find((secret) => secret.name === secretRef?.name),
    }
  })
}

function numbered(names: readonly string[]): readonly Numbered[] {
  return [...new Set(names)].map((name, index) => ({ name, index }))
}

function cacheOf(claim: Numbered | undefined): Cache {
  if (claim === undefined) return { volume: scratchVolume, path: podPaths.packs }
  const { index } = claim
  return { volume: `cache-${index}`, path: `${podPaths.caches}${index}`, claim }
}

function folderOf({ name, spec }: PodPack, fetched: readonly Fetch[]): string {
  const { delivery } = spec
  switch (delivery.type) {
    case 'Embedded':
      return joinPath(podPaths.embeddedModels, delivery.embedded?.path)
    case 'Claim':
      return joinPath(podPaths.claims + name, delivery.claim?.path)
    case 'Image':
      return joinPath(podPaths.claims + name, delivery.image?.path)
    case 'Fetch': {
      const fetch = fetched.find((each) => each.name === name)
      assert(fetch !== undefined, 'every pack to fetch has a plan')
      return joinPath(fetch.cache.path, fetch.digest)
    }
    default:
      return unreachable(delivery.type)
  }
}

function joinPath(folder: string, path = ''): string {
  const relative = path.replace(/^\/+/, '')
  return relative === '' ? folder : `${folder}/${relative}`
}

/** One volume for each pack on a claim or in an image, also when two lie on the same one. */
function ownVolume({ name, spec: { delivery } }: PodPack): Volume[] {
  const { claim, image } = delivery
  if (delivery.type === 'Claim' && claim !== undefined) {
    return [{ name, persistentVolumeClaim: { claimName: claim.name, readOnly: true } }]
  }
  if (delivery.type === 'Image' && image !== undefined) {
    return [{ name, image: { reference: image.reference } }]
  }
  return []
}

function ownMount(pack: PodPack): VolumeMount[] {
  const { name } = pack
  return ownVolume(pack).map(() => ({ name, mountPath: podPaths.claims + name, readOnly: true }))
}

function fetchVolumes(fetched: readonly Fetch[], { settings }: PackContext): Volume[] {
  const sizeLimit = String(settings.packs.scratchBytes)
  const caches = cachesOf(fetched).map(({ volume, claim }) => {
    if (claim === undefined) return { name: volume, emptyDir: { sizeLimit } }
    return { name: volume, persistentVolumeClaim: { claimName: claim.name } }
  })
  // Not waited for: without it the server's refusal is what people are told.
  const secrets = secretsOf(fetched).map(({ index, name: secretName }) => {
    const secret = { secretName, optional: true, defaultMode: 0o440 }
    return { name: `${fetchCredentialsVolume}${index}`, secret }
  })
  return [...caches, ...secrets]
}

function cachesOf(fetched: readonly Fetch[]): readonly Cache[] {
  return [...new Map(fetched.map(({ cache }) => [cache.volume, cache])).values()]
}

function secretsOf(fetched: readonly Fetch[]): readonly Numbered[] {
  return [...new Set(fetched.flatMap(({ secret }) => secret ?? []))]
}

/** Only its leases may the container write on a claim, which other pods read. */
function readMounts(fetched: readonly Fetch[]): VolumeMount[] {
  return cachesOf(fetched).flatMap(({ volume: name, path, claim }) => {
    const files = { name, mountPath: path, readOnly: true }
    if (claim === undefined) return [files]
    const mountPath = `${podPaths.leases}${claim.index}`
    return [files, { name, mountPath, subPath: packLeasesFolder }]
  })
}

function leaseVariables(fetched: readonly Fetch[]): Variable[] {
  const leases = fetched.flatMap(({ digest, cache: { claim } }) => {
    return claim ? [`${podPaths.leases}${claim.index}/${digest}/$(${packHolderVariable})`] : []
  })
  if (leases.length === 0) return []
  return [
    podUid(packHolderVariable),
    ...[...new Set(leases)].map((value, index) => ({ name: packLeaseVariable(index), value })),
  ]
}

function podUid(name: string): Variable {
  return { name, valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } }
}

function fetchContainer(fetched: readonly Fetch[], context: PackContext): Container {
  const { settings, amounts, reporting } = context
  return {
    name: fetchContainerName,
    image: settings.inferenceImage,
    env: [
      { name: fetchEnvironment.packs, value: String(fetched.length) },
      podUid(fetchEnvironment.holder),
      { name: fetchEnvironment.s3Region, value: settings.packs.s3Region },
      { name: fetchEnvironment.allowHttp, value: String(settings.packs.allowHttp) },
      ...fetched.flatMap((fetch, index) => packVariables(fetch, index, settings)),
      ...(reporting?.variables ?? []),
    ],
    resources: { requests: amounts, limits: amounts },
    securityContext: leastPrivilege,
    volumeMounts: [
      ...cachesOf(fetched).map(({ volume: name, path }) => ({ name, mountPath: path })),
      ...secretsOf(fetched).map(({ index }) => {
        return { name: `${fetchCredentialsVolume}${index}`, ...credentialsMount(index) }
      }),
      ...(reporting?.mounts ?? []),
    ],
  }
}

function credentialsMount(index: number) {
  return { mountPath: `${podPaths.fetchCredentials}${index}`, readOnly: true }
}

function packVariables(
  { url, digest, cache, secret }: Fetch,
  index: number,
  { packs }: PackContext['settings'],
): Variable[] {
  const names = fetchVariables(index)
  const limitBytes = cache.claim === undefined ? packs.scratchBytes : packs.cacheBytes
  return [
    { name: names.url, value: url },
    { name: names.digest, value: digest },
    { name: names.cache, value: cache.path },
    ...(limitBytes === undefined ? [] : [{ name: names.limitBytes, value: String(limitBytes) }]),
    ...(secret
      ? [{ name: names.credentials, value: credentialsMount(secret.index).mountPath }]
      : []),
  ]
}
