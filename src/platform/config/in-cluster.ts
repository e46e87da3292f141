type Environment = Readonly<Record<string, string | undefined>>

/** Address of the API server as Kubernetes tells every container; undefined outside of a pod. */
export function readInClusterAddress(environment: Environment = process.env): string | undefined {
  const host = environment['KUBERNETES_SERVICE_HOST']
  const port = environment['KUBERNETES_SERVICE_PORT']
  if (host === undefined || port === undefined) return undefined
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`
}
