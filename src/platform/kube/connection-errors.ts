const explanations: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOTFOUND: 'its name cannot be resolved',
  EAI_AGAIN: 'its name cannot be resolved',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  UND_ERR_CONNECT_TIMEOUT: 'the connection was not accepted in time',
  UND_ERR_HEADERS_TIMEOUT: 'it did not answer in time',
  UND_ERR_BODY_TIMEOUT: 'it fell silent',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_DESTROYED: 'this client is closed',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by the configured authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by the configured authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by the configured authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  CERT_HAS_EXPIRED: 'its certificate has expired',
}

/** A sentence for people about why no answer came. */
export function describeFailure(server: string, error: unknown): string {
  const code = codeOf(error)
  const explanation = code === undefined ? String(error) : (explanations[code] ?? code)
  return `the API server at ${server} does not answer: ${explanation}`
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  return codeOf(error.cause)
}
