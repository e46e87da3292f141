const REDACTED = '[redacted]'
const DEPTH_MAX = 8

/** Names of fields whose values nobody may read in a log, whatever their case or separators. */
const SECRET_NAMES =
  /^(authorization|cookie|setcookie|.*password|.*passphrase|.*secret|.*token|.*apikey|.*privatekey|clientkeydata|.*prompt|email|mail)$/

/** Credentials that hide inside other texts, such as the message of a driver's error. */
const SECRET_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/\b(bearer)\s+[\w.~+/=-]{16,}/gi, `$1 ${REDACTED}`],
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, REDACTED],
  // No quotes in between: the patterns also run over whole lines of JSON.
  [/(\w:\/\/)[^\s/:@"]*:[^\s/@"]+@/g, `$1${REDACTED}@`],
  [/([?&](?:signature|token|sig|key|x-amz-[a-z-]+)=)[^\s&#"\\]+/gi, `$1${REDACTED}`],
]

/** A copy for the log: secret fields blanked, errors with their causes as plain objects. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (depth >= DEPTH_MAX) return '[too deep]'
  if (value instanceof Error) return redactError(value, depth)
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1))
  // Class instances (requests, sockets) have serializers of their own or do not belong in a log.
  return isPlain(value) ? redactFields(value, depth) : value
}

export function redactText(text: string): string {
  return SECRET_TEXTS.reduce((clean, [pattern, by]) => clean.replace(pattern, by), text)
}

/** The same for the fields of one log line. */
export function redactFields(fields: object, depth = 0): Record<string, unknown> {
  const clean = Object.entries(fields).map(([name, value]) => [
    name,
    isSecretName(name) && value !== undefined ? REDACTED : redact(value, depth + 1),
  ])
  return Object.fromEntries(clean)
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error
  return {
    type: name,
    message: redactText(message),
    stack: stack === undefined ? undefined : redactText(stack),
    ...redactFields(Object.fromEntries(Object.entries(error)), depth),
    ...(cause === undefined ? {} : { cause: redact(cause, depth + 1) }),
  }
}

function isSecretName(name: string): boolean {
  return SECRET_NAMES.test(name.replace(/[-_]/g, '').toLowerCase())
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
