import type { LocalConfig } from '../../platform/config/local.ts'
import { AppError } from '../../shared/errors.ts'
import { buildGoTool } from '../go-build.ts'
import { findProgram, isAtLeast, versionOf } from '../programs.ts'

const names = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubectl',
] as const
type ProgramName = (typeof names)[number]
export type CommandLine = readonly [string, ...string[]]

export type KubernetesPrograms = Readonly<Record<ProgramName, CommandLine>> & {
  /** Where they come from, with the version, to print. */
  readonly source: string
}

type Place = { readonly title: string; readonly folders: readonly string[] }

/** The oldest with everything used here: authentication configuration, admission policies. */
const kubernetesMinimum = '1.33'
/** Older ones answer progress requests wrongly, which breaks consistent reads from the cache. */
const etcdMinimum = '3.5.17'

/**
 * The programs of a control plane: a complete set in KUBEBUILDER_ASSETS, then on PATH, then
 * tools/kube, which is built once (minutes).
 */
export async function resolveKubernetes(
  config: LocalConfig,
  signal: AbortSignal,
): Promise<KubernetesPrograms> {
  const { kubebuilderAssets: assets, programFolders } = config
  const places = [
    ...(assets === undefined ? [] : [{ title: assets, folders: [assets] }]),
    { title: 'PATH', folders: programFolders },
  ]
  const looked: string[] = []
  for (const place of places) {
    const found = await installed(place)
    if (typeof found !== 'string') return found
    looked.push(found)
  }
  return builtHere(config, { signal, looked })
}

/** Only kubectl, for use with an existing cluster. */
export async function resolveKubectl(
  config: LocalConfig,
  signal: AbortSignal,
): Promise<CommandLine> {
  const folders = [config.kubebuilderAssets ?? '', ...config.programFolders]
  const kubectl = await findProgram('kubectl', folders)
  if (kubectl !== undefined && config.kubeconfigPath !== undefined) return [kubectl]
  return (await resolveKubernetes(config, signal)).kubectl
}

/** A complete set, or a sentence that says why not. */
async function installed({ title, folders }: Place): Promise<KubernetesPrograms | string> {
  const paths = await Promise.all(names.map((name) => findProgram(name, folders)))
  const missing = names.filter((_, index) => paths[index] === undefined)
  if (missing.length > 0) return `${title}: no ${missing.join(', ')}`
  const programs = commandLines((name) => [paths[names.indexOf(name)] ?? name])
  const version = await versionOf(programs['kube-apiserver'][0], ['--version'])
  const etcdVersion = await versionOf(programs.etcd[0], ['--version'])
  if (!isAtLeast(version, kubernetesMinimum)) return `${title}: Kubernetes ${version} is too old`
  if (!isAtLeast(etcdVersion, etcdMinimum)) return `${title}: etcd ${etcdVersion} is too old`
  return { ...programs, source: `Kubernetes ${version}, etcd ${etcdVersion} (${title})` }
}

function commandLines(of: (name: ProgramName) => CommandLine): Omit<KubernetesPrograms, 'source'> {
  return {
    etcd: of('etcd'),
    'kube-apiserver': of('kube-apiserver'),
    'kube-controller-manager': of('kube-controller-manager'),
    'kube-scheduler': of('kube-scheduler'),
    kubectl: of('kubectl'),
  }
}

async function builtHere(
  config: LocalConfig,
  context: { readonly signal: AbortSignal; readonly looked: readonly string[] },
): Promise<KubernetesPrograms> {
  const program = await buildGoTool(
    {
      name: 'kube',
      title: 'Kubernetes from source: go build in tools/kube, once, about 10 min',
      linkerFlags: (goMod) => versionFlags(requiredVersion(goMod, 'k8s.io/kubernetes')),
    },
    { programFolders: config.programFolders, signal: context.signal },
  ).catch((error: unknown) => {
    throw new AppError('platform.misconfigured', missingMessage(context.looked, error), {
      cause: error,
    })
  })
  const version = await versionOf(program, ['kube-apiserver', '--version'])
  return {
    ...commandLines((name) => [program, name]),
    source: `Kubernetes ${version} (built from tools/kube)`,
  }
}

function missingMessage(looked: readonly string[], error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error)
  return [
    'No Kubernetes control plane. Looked, in this order, at:',
    '  1. ATELIER_KUBECONFIG, the kubeconfig of an existing cluster: not set',
    `  2. KUBEBUILDER_ASSETS, then PATH, for ${names.join(', ')} (${kubernetesMinimum} or later):`,
    ...looked.map((line) => `     ${line}`),
    `  3. tools/kube, built with Go: ${reason}`,
    'Set ATELIER_KUBECONFIG, or install the programs, or install Go 1.25 or later.',
  ].join('\n')
}

/** Without these the server calls itself v0.0.0-master. */
function versionFlags(version: string): readonly string[] {
  const [major = '', minor = ''] = version.replace(/^v/, '').split('.')
  const name = 'k8s.io/component-base/version'
  return [
    `-X ${name}.gitVersion=${version}`,
    `-X ${name}.gitMajor=${major}`,
    `-X ${name}.gitMinor=${minor}`,
  ]
}

function requiredVersion(goMod: string, module: string): string {
  const line = goMod.split('\n').find((text) => text.trim().startsWith(`${module} v`))
  const version = line?.trim().split(' ')[1]
  if (version === undefined) {
    throw new AppError('platform.misconfigured', `tools/kube/go.mod does not require ${module}`)
  }
  return version
}
