export type KubeconfigParts = {
  readonly server: string
  /** PEM. */
  readonly authority?: Buffer | undefined
  readonly skipVerification?: boolean
  readonly user: Readonly<Record<string, string>>
}

/** A kubeconfig with one context. JSON is YAML. */
export function kubeconfigText(parts: KubeconfigParts): string {
  const { server, authority, skipVerification = false, user } = parts
  const cluster = {
    server,
    ...(authority === undefined
      ? {}
      : { 'certificate-authority-data': authority.toString('base64') }),
    ...(skipVerification ? { 'insecure-skip-tls-verify': true } : {}),
  }
  const name = 'atelier'
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  }
  return `${JSON.stringify(config, null, 2)}\n`
}
